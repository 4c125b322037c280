"""Signals that end a session: really sent, to this process."""

import signal
from collections.abc import Sequence

import anyio.lowlevel
import pytest

from tracker.runtime.control import Control
from tracker.runtime.signals import with_signals

pytestmark = pytest.mark.anyio


@pytest.fixture
def _nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


async def after(numbers: Sequence[int]) -> Control:
    """What has been asked of a session once these signals were received."""

    async def send(control: Control) -> Control:
        for number in numbers:
            signal.raise_signal(number)
            for _ in range(10):  # the event loop reads it from a pipe, wakes the receiver, ...
                await anyio.lowlevel.checkpoint()
        return control

    return await with_signals(send, lambda _: None)


@pytest.mark.parametrize(
    ("numbers", "drained", "aborted"),
    [
        ([signal.SIGINT], True, False),
        ([signal.SIGTERM], True, False),
        ([signal.SIGHUP], True, False),
        ([signal.SIGTERM, signal.SIGTERM], True, True),
        ([signal.SIGHUP, signal.SIGTERM], True, True),
        ([signal.SIGHUP, signal.SIGHUP], True, False),  # from the shell and from the system, as a terminal is closed
        ([signal.SIGTERM, signal.SIGHUP], True, False),
    ],
)
async def test_the_first_signal_drains_and_the_next_one_aborts(numbers, drained, aborted):
    control = await after(numbers)
    assert (control.drained.is_set(), control.aborted.is_set()) == (drained, aborted)


@pytest.mark.usefixtures("_nohup")
async def test_a_program_under_nohup_goes_on():
    assert not (await after([signal.SIGHUP])).drained.is_set()
