import sys
from itertools import accumulate

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures.story import story, write_session
from tests.support.fakes import FakeClock
from tests.support.sessions import conversation, sessions
from tests.support.tmux import Tmux
from tracker.dashboard.player import Player
from tracker.dashboard.screen import ChangeSpeed, Seek
from tracker.dashboard.view import View, fold
from tracker.recordings.replay import moment_ns
from tracker.runtime.clock import NS_PER_S
from tracker.runtime.control import Pause, Resume

pytestmark = pytest.mark.anyio


class Still(FakeClock):
    def now_ns(self) -> int:
        return self.now


def until(events, position_ns) -> View:
    view = View()
    for event, moment in zip(events, accumulate(map(moment_ns, events), max), strict=True):
        if moment <= position_ns:
            view = fold(view, event)
    return view


requests = st.one_of(
    st.sampled_from([Pause(), Resume(), Seek(float("-inf"))]),
    st.floats(-30, 30).map(Seek),
    st.sampled_from([0.5, 2.0]).map(ChangeSpeed),
)


@given(sessions(), st.lists(st.tuples(requests, st.integers(0, 20 * NS_PER_S)), max_size=10))
def test_wherever_it_is_the_view_is_what_had_happened_until_there(events, steps):
    clock = Still()
    player = Player(events, clock, 1.0)
    for request, passed in steps:
        before = player.position_ns
        player.request(request)
        if not isinstance(request, Seek):
            assert player.position_ns == before
        clock.now += passed
        view, playback = player.read()
        assert 0 <= playback.position_ns <= playback.length_ns
        assert view == until(events, playback.position_ns)


async def test_events_come_once_and_in_order_however_it_is_steered():
    events = conversation()
    player = Player(events, FakeClock(), 1.0)
    got = []
    with anyio.fail_after(10):
        async for event in player.events():
            got.append(event)
            if len(got) == 4:
                player.request(Seek(-3))
            if len(got) == 6:
                player.request(ChangeSpeed(2))
    assert got == events


async def test_a_pause_holds_the_events_back():
    events = conversation()
    player = Player(events, FakeClock(), 1.0)
    got = []

    async def take():
        async for event in player.events():
            got.append(event)
            if len(got) == 3:
                player.request(Pause())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            held = len(got)
            assert 3 <= held < len(events)
            await anyio.wait_all_tasks_blocked()
            assert len(got) == held
            player.request(Resume())
    assert got == events


def test_a_replay_in_a_real_terminal(tmp_path):
    session = write_session(tmp_path / "kept", story(), audio=False)
    command = (sys.executable, "-m", "tracker", "replay", str(session), "--mqtt", "off", "--speed", "2")
    with Tmux(*command, folder=tmp_path, size=(120, 40)) as terminal:
        terminal.until("REPLAY x2", "/ 3:", "Is that you?")
        terminal.press("Space")
        terminal.until("PAUSED x2")
        for _ in range(8):
            terminal.press("Right")
        terminal.until("You are joking.")
        terminal.press("Home")
        terminal.until("nothing has been said yet", "0:00.0 /")
        terminal.press("+", "Space")
        terminal.until("REPLAY x4", "my number")
        terminal.press("q")
        terminal.until("left with 0", "echo")
        assert not terminal.in_alternate_screen()
