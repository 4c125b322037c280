"""What can go wrong in the learned half in a way a user can mend."""


class AdapterError(Exception):
    """A checkpoint, a backbone, features or data do not fit; the message says which, and what to do."""
