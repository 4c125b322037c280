"""Hidden states and voice frames in, class scores out: the trained part of the default adapter."""
