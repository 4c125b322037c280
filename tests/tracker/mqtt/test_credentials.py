"""Certificates, users and passwords: what is accepted, and that nothing of it is told."""

import gc
import os
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio
import pytest
import trustme

from tests.support.brokers import Mosquitto, needed
from tests.support.sessions import conversation, given_out
from tests.tracker.mqtt.test_brokers import published
from tracker.errors import SinkError
from tracker.mqtt.address import Address
from tracker.mqtt.client import Connector
from tracker.mqtt.credentials import PASSWORD, USERNAME, Login, login, trust


def test_the_environment_is_stronger_than_the_file(tmp_path):
    path = tmp_path / "broker"
    path.write_text("ada:top:secret\nmore\n")
    path.chmod(0o600)
    assert login(str(path), {}) == Login("ada", "top:secret")
    assert login(str(path), {USERNAME: "bob", PASSWORD: "x"}) == Login("bob", "x")
    assert login("", {}) == Login(None, None)
    assert "secret" not in repr(login(str(path), {}))


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "broker"
    path.write_text("ada:secret\n", "utf-8-sig")
    path.chmod(0o600)
    assert login(str(path), {}) == Login("ada", "secret")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(mode, tmp_path):
    path = tmp_path / "broker"
    path.write_text("ada:secret")
    path.chmod(mode)
    with pytest.raises(SinkError, match=rf"others may read the password in it \(its mode is {mode:04o}\); chmod 600"):
        login(str(path), {})


@pytest.mark.parametrize("text", ["secret", ":secret", "", "secret\nada:secret"])
def test_a_file_that_holds_something_else_is_refused_without_its_contents(text, tmp_path):
    path = tmp_path / "broker"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SinkError, match="its first line must be user:password") as refused:
        login(str(path), {})
    assert "secret" not in str(refused.value)


def test_files_that_are_not_there_are_named(tmp_path):
    for missing in (partial(login, "none", {}), partial(trust, "none", "", ""), partial(trust, "", "none", "")):
        with pytest.raises(SinkError, match=r"none: .*cannot be read.*No such file"):
            missing()
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(SinkError, match=r"holds no certificates in PEM \(mqtt.ca_file\)"):
        trust(str(tmp_path / "text"), "", "")
    with pytest.raises(SinkError, match=r"certificate and key do not go together"):
        trust("", str(tmp_path / "text"), "")


class Certificates:
    """An authority of our own, what it vouches for, and one that nobody knows."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, other = trustme.CA(), trustme.CA()
        self.ca.cert_pem.write_to_path(folder / "ca.pem")
        other.cert_pem.write_to_path(folder / "wrong-ca.pem")
        past = datetime.now(UTC) - timedelta(days=2)
        self._write("server", self.ca.issue_cert("127.0.0.1"))
        self._write("expired", self.ca.issue_cert("127.0.0.1", not_before=past, not_after=past + timedelta(days=1)))
        self._write("elsewhere", self.ca.issue_cert("broker.example"))
        self._write("client", self.ca.issue_cert("tracker.example"))
        self._write("stranger", other.issue_cert("tracker.example"))

    def _write(self, name, issued):
        issued.private_key_pem.write_to_path(self.folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(self.folder / f"{name}.pem")

    def __getitem__(self, name):
        return str(self.folder / name)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.anyio
@pytest.mark.broker
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("server", "ca", "client", "user", "why"),
    [
        ("server", "ca.pem", "client", ("me", "secret"), None),
        ("server", "wrong-ca.pem", "client", ("me", "secret"), "certificate verify failed"),
        ("server", "", "client", ("me", "secret"), "certificate verify failed"),
        ("expired", "ca.pem", "client", ("me", "secret"), "certificate has expired"),
        ("elsewhere", "ca.pem", "client", ("me", "secret"), "IP address mismatch"),
        ("server", "ca.pem", "", ("me", "secret"), "it may want a client certificate"),
        ("server", "ca.pem", "stranger", ("me", "secret"), "or not trust ours"),
        ("server", "ca.pem", "client", ("me", "wrong"), "Not authorized"),
        ("server", "ca.pem", "client", (None, None), "Not authorized"),
    ],
)
async def test_with_certificates_and_a_password(server, ca, client, user, why, certificates, tmp_path):
    """What is refused is said in one line, and tried again for as long as the session lasts."""
    passwords = tmp_path / "passwords"
    subprocess.run([needed("mosquitto_passwd"), "-b", "-c", passwords, "me", "secret"], check=True)
    settings = [
        "allow_anonymous false", f"password_file {passwords}", f"cafile {certificates['ca.pem']}",
        f"certfile {certificates[f'{server}.pem']}", f"keyfile {certificates[f'{server}.key']}",
        "require_certificate true",
    ]  # fmt: skip
    broker, said = Mosquitto(tmp_path, settings="\n".join(settings)), []
    await broker.start()
    own = (certificates[f"{client}.pem"], certificates[f"{client}.key"]) if client else ("", "")
    context = trust(certificates[ca] if ca else "", *own)
    assert context.verify_mode == ssl.CERT_REQUIRED
    address = Address("127.0.0.1", broker.port, tls=True)
    try:
        with anyio.fail_after(30):
            connect = Connector(address, Login(*user), context, timeout_s=1.0)
            await published(address, connect, said.append, 5.0 if why is None else 2.5).run(given_out(conversation()))
    finally:
        broker.stop()
    gc.collect()  # paho leaves the refused socket to the garbage collector, which complains
    if why is None:
        assert said == []
    else:
        lost, summary = said
        assert f"the broker at {address} cannot be reached (" in lost
        assert why in lost
        assert "\n" not in lost
        assert "19 could not be delivered" in summary
    assert not {"secret", "wrong"} & set(" ".join(said).replace(os.sep, " ").split())
