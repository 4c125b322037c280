"""One plug-in of each kind: a source, a sink, a recogniser and a data set."""
