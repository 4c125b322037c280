"""Progress where no terminal is."""

from collections.abc import Callable, Iterable, Iterator

from adapters.training.progress import progress, with_lines


def clock(step: float) -> Callable[[], float]:
    """A clock that a test moves on by asking for the time."""
    times: Iterator[float] = (index * step for index in range(10**6))
    return lambda: next(times)


def lines_of(steps: Iterable[int], total: int | None, step: float) -> list[str]:
    lines: list[str] = []
    assert list(with_lines(steps, "reading", total, lines.append, clock(step))) == list(range(6))
    return lines


def test_a_line_a_minute_says_how_far_it_is() -> None:
    assert lines_of(range(6), 6, 61.0) == [f"reading: {done} of 6" for done in range(1, 7)]
    assert lines_of(range(6), 6, 30.0) == ["reading: 2 of 6", "reading: 4 of 6", "reading: 6 of 6"]


def test_what_is_quick_says_nothing() -> None:
    assert lines_of(range(6), 6, 1.0) == []


def test_what_has_no_known_end_is_counted() -> None:
    assert lines_of(iter(range(6)), None, 61.0)[-1] == "reading: 6"


def test_steps_are_taken_one_by_one_as_they_are_asked_for() -> None:
    taken: list[int] = []
    walk = iter(progress((taken.append(index) or index for index in range(3)), "walking", total=3))
    assert next(walk) == 0
    assert taken == [0]
    assert list(walk) == [1, 2]
