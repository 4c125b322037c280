"""What can go wrong in the learned half in a way a user can mend."""


class AdapterError(Exception):
    """A checkpoint, a backbone, features or data do not fit; the message says which, and what to do."""


def first_line(error: Exception) -> str:
    """The kind of an error and its first line."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(": ")
