"""User, password and certificates for a connection to a broker. None of it is ever logged."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tracker.errors import SinkError

USERNAME, PASSWORD = "TRACKER_MQTT_USERNAME", "TRACKER_MQTT_PASSWORD"
"""Environment variables, which never become part of the configuration."""


@dataclass(frozen=True, slots=True)
class Login:
    """User and password.

    Attributes:
        username: Or None.
        password: Or None; never shown.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)


ANONYMOUS = Login()


def login(file: str, environ: Mapping[str, str] = os.environ) -> Login:
    """User and password from the environment or, if it has none, from a file.

    Args:
        file: Holds ``user:password`` in its first line; empty: no file.
        environ: The environment.

    Raises:
        SinkError: The file cannot be read, is open to others, or holds something else; never repeats its contents.
    """
    if USERNAME in environ or PASSWORD in environ or not file:
        return Login(environ.get(USERNAME), environ.get(PASSWORD))
    path = Path(file).expanduser()
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and mode & 0o077:
            raise SinkError(
                f"{path}: others may read the password in it (its mode is {mode & 0o777:04o}); chmod 600 {path}"
            )
        first = path.read_text("utf-8-sig").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SinkError(f"{path}: the broker's user and password cannot be read there ({why})") from error
    username, colon, password = first.partition(":")
    if not (username and colon):
        raise SinkError(f"{path}: its first line must be user:password")
    return Login(username, password)


def trust(ca_file: str, client_cert: str, client_key: str) -> ssl.SSLContext:
    """The certificates of an encrypted connection.

    Args:
        ca_file: Certificate authorities that the broker's certificate may come from, PEM; empty: the system's.
        client_cert: Our own certificate, PEM; empty: none.
        client_key: Its key, PEM; empty: it is in the certificate's file.

    Raises:
        SinkError: A file cannot be read or is not what it should be; named.
    """
    for path in filter(None, (ca_file, client_cert, client_key)):
        try:
            Path(path).expanduser().read_bytes()
        except OSError as error:
            raise SinkError(f"{path}: cannot be read ({error.strerror}), for the connection to the broker") from error
    try:
        context = ssl.create_default_context(cafile=str(Path(ca_file).expanduser()) if ca_file else None)
    except ssl.SSLError as error:
        raise SinkError(f"{ca_file}: holds no certificates in PEM (mqtt.ca_file)") from error
    if client_cert:
        key = str(Path(client_key).expanduser()) if client_key else None
        try:
            context.load_cert_chain(Path(client_cert).expanduser(), key, password=_no_passphrase)
        except (ssl.SSLError, SinkError) as error:
            raise SinkError(
                f"{client_cert}: certificate and key do not go together, or are not unencrypted PEM "
                "(mqtt.client_cert, mqtt.client_key)"
            ) from error
    return context


def _no_passphrase() -> str:
    """Called if a key is encrypted; without it, OpenSSL would ask on the terminal."""
    raise SinkError("the key is encrypted")
