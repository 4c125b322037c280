"""A private sound card: pulseaudio with a null sink, whose monitor is the default microphone.

By hand, from the project's folder: what COMMAND hears on its microphone is FILE, then it is interrupted as by Ctrl-C.

    python tests/support/sound.py FILE -- COMMAND ...
    python tests/support/sound.py call.flac -- tracker run mic --json
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

SINK = "room"
_ALSA = """
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def absent() -> str:
    """What is missing for a private sound card; empty if nothing is."""
    for program in ("pulseaudio", "pactl", "paplay"):
        if not shutil.which(program):
            return f"{program} is not installed (Debian: apt install pulseaudio pulseaudio-utils)"
    if not any(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        return "ALSA's pulse plug-in is not installed (Debian: apt install libasound2-plugins)"
    if find_spec("sounddevice") is None:
        return "sounddevice is not installed"
    try:
        import sounddevice  # noqa: F401
    except OSError:
        return "PortAudio is not installed (Debian: apt install libportaudio2)"
    return ""


def until(reached: Callable[[], object], what: str, deadline_s: float = 10.0) -> None:
    """Poll another process until it got somewhere.

    Raises:
        TimeoutError: It did not in time.
    """
    end = time.monotonic() + deadline_s
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline_s} s")
        time.sleep(0.02)


class SoundCard:
    """Runs the sound server while entered; pass `environment` to whatever shall record from it."""

    def __init__(self) -> None:
        self._exit = ExitStack()

    def __enter__(self) -> SoundCard:
        # Not pytest's tmp_path: the path of a socket has 107 characters at most.
        folder = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="sound-")))
        socket = folder / "socket"
        (folder / "alsa.conf").write_text(_ALSA)
        self.environment = os.environ | {
            "ALSA_CONFIG_PATH": str(folder / "alsa.conf"),
            "PULSE_SERVER": f"unix:{socket}",
            "PULSE_RUNTIME_PATH": str(folder / "runtime"),
            "PULSE_STATE_PATH": str(folder / "state"),
            "PULSE_COOKIE": str(folder / "cookie"),
        }
        self.server = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
                *("--disable-shm", "--realtime=no", "--high-priority=no", "--log-level=error"),
                *("-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}"),
                *("-L", f"module-null-sink sink_name={SINK}"),
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._exit.callback(self.kill)
        try:
            until(lambda: self.server.poll() is None and self._answers(), "pulseaudio answers")
            self.control("set-default-source", f"{SINK}.monitor")
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def control(self, *arguments: str) -> str:
        """What pactl answers."""
        done = subprocess.run(["pactl", *arguments], env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout

    def recorders(self) -> int:
        """How many programs record right now."""
        return len(self.control("list", "short", "source-outputs").splitlines())

    def play(self, file: Path) -> None:
        """Play a sound file into the room, to its end."""
        subprocess.run(["paplay", f"--device={SINK}", str(file)], env=self.environment, check=True)

    def kill(self) -> None:
        """The sound server dies."""
        self.server.kill()
        self.server.wait()

    def _answers(self) -> bool:
        return subprocess.run(["pactl", "info"], env=self.environment, capture_output=True).returncode == 0


def main(file: str, dashes: str, *command: str) -> int:
    """Play a file to a command that listens to its microphone; returns the command's exit code."""
    if dashes != "--" or not command:
        raise SystemExit(__doc__)
    if reason := absent():
        raise SystemExit(reason)
    with SoundCard() as card, subprocess.Popen(command, env=card.environment) as listener:
        until(lambda: card.recorders() or listener.poll() is not None, "the command opens its microphone", 120)
        if listener.poll() is None:
            card.play(Path(file))
            listener.send_signal(signal.SIGINT)
        return listener.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
