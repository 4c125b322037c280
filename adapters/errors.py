"""What can go wrong in the learned half in a way a user can mend."""


class AdapterError(Exception):
    """A checkpoint, a backbone, features or data do not fit; the message says which, and what to do."""


def first_line(error: Exception) -> str:
    """The kind of an error and its first line."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(": ")


def without_controls(text: str) -> str:
    """Text in one line: a space for each character that could change the terminal, and what is printed on it."""
    return "".join(character if character.isprintable() else " " for character in text)


def extra_needed(what: str, extra: str, error: ImportError) -> str:
    """A sentence about a package that is not installed.

    Args:
        what: A command, a setting or a call.
        extra: Installs it, of ``pyproject.toml``.
        error: Why it cannot be imported.
    """
    package = (error.name or "").partition(".")[0]
    return f"{what} needs {package}, which is not installed: pip install 'emotion-tracker[{extra}]'"
