"""``python -m adapters``, in the test's own process."""

from typer.testing import CliRunner, Result

from adapters.__main__ import app


def adapters(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])
