"""Nothing leaves the machine: whole sessions in a process that can reach nothing, and what they try and leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.assets import asset_folder
from tests.support import TOP
from tests.support.command import telephone

_LIBRARY_SESSION = """
import asyncio
import tracker

async def main():
    async with tracker.open_session(SOURCE, tracker.Config(input={"pace": "fast"})) as session:
        print([event.type async for event in session][-1])

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that refuses the network, compiled."""
    built = tmp_path_factory.mktemp("no_network") / "no_network.so"
    source = TOP / "tests" / "support" / "no_network.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    return built


class Alone:
    """A home of its own, without a network."""

    def __init__(self, preloaded: Path, folder: Path) -> None:
        self.home, self.log = folder / "home", folder / "tried"
        self.home.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "HF_", "XDG_"))}
        self._environment = kept | {
            "HOME": str(self.home),
            "EMOTION_TRACKER_CACHE": str(asset_folder("telephone-sample").parents[1]),
            "PYTHONPATH": str(TOP),
            "LD_PRELOAD": str(preloaded),
            "NO_NETWORK_LOG": str(self.log),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=self.home, env=self._environment, capture_output=True, text=True, timeout=180
        )

    @property
    def tried(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def left(self) -> set[str]:
        """The files in the home, by at most three levels of their paths."""
        return {"/".join(path.relative_to(self.home).parts[:3]) for path in self.home.rglob("*") if path.is_file()}


def test_what_is_refused_is_noted(preloaded: Path, tmp_path: Path) -> None:
    alone = Alone(preloaded, tmp_path)
    for call in ("socket().connect(('192.0.2.1', 80))", "getaddrinfo('tracker.invalid', 80)"):
        assert alone.run("-c", f"import socket; socket.{call}").returncode == 1
    assert [line.split()[1:] for line in alone.tried] == [["connect"], ["getaddrinfo", "tracker.invalid"]]


@pytest.mark.models
def test_a_session_reaches_for_nothing_and_leaves_nothing_behind(preloaded: Path, tmp_path: Path) -> None:
    call, alone = telephone(), Alone(preloaded, tmp_path)
    done = alone.run("-m", "tracker", "run", str(call), "--pace", "fast", "--mqtt", "off", "--json", "--record", "kept")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"turn.ended"') > 1
    assert alone.tried == []
    assert all(name.startswith("kept/") for name in alone.left), alone.left


@pytest.mark.models
def test_a_program_that_uses_the_library_reaches_for_nothing(preloaded: Path, tmp_path: Path) -> None:
    call, alone = telephone(), Alone(preloaded, tmp_path)
    done = alone.run("-c", _LIBRARY_SESSION.replace("SOURCE", repr(str(call))))
    assert (done.returncode, done.stdout) == (0, "session.ended\n"), done.stderr
    assert alone.tried == []
    assert alone.left == set()
