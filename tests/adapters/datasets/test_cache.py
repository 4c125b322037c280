"""What training keeps stays within its bound; what was used last stays."""

import os
from pathlib import Path

import pytest
import torch

from adapters.datasets.cache import clean_up, training_bound, training_folder
from adapters.errors import AdapterError
from adapters.training.feature_cache import cached as cached_tensor
from tests.support.program import adapters


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files ``0`` (not used for longest) to ``3`` of 10 bytes each."""
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path))
    folder = training_folder()
    folder.mkdir()
    for age in range(4):
        (folder / str(age)).write_bytes(bytes(10))
        os.utime(folder / str(age), (age, age))
    return folder


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(("bound", "left"), [(100, "0123"), (40, "0123"), (39, "123"), (20, "23"), (9, ""), (0, "")])
def test_what_was_not_used_for_longest_goes_first(kept: Path, bound: int, left: str) -> None:
    freed = clean_up(bound)
    assert _names(kept) == set(left)
    assert freed == 40 - 10 * len(left)


def test_what_is_in_use_stays(kept: Path) -> None:
    assert clean_up(0, spare=kept / "1") == 30
    assert _names(kept) == {"1"}


def test_what_another_run_is_writing_stays(kept: Path) -> None:
    for name in ("words.1.partial", "words.2.partial"):
        (kept / name).write_bytes(bytes(10))
    os.utime(kept / "words.1.partial", (4, 4))  # nobody writes for years
    assert clean_up(0) == 50
    assert _names(kept) == {"words.2.partial"}


@pytest.mark.parametrize("gone", [True, False])
def test_what_another_run_deletes_is_made_again(kept: Path, monkeypatch: pytest.MonkeyPatch, gone: bool) -> None:
    made: list[int] = []

    def make() -> torch.Tensor:
        made.append(1)
        return torch.arange(3)

    for _ in range(2):
        assert cached_tensor("words", ("key",), make).tolist() == [0, 1, 2]
        if gone:
            clean_up(0)
    assert len(made) == (2 if gone else 1)


def test_what_is_used_counts_as_new(kept: Path) -> None:
    cached_tensor("words", ("key",), lambda: torch.arange(3))
    (path,) = kept.glob("words-*")
    os.utime(path, (1, 1))
    cached_tensor("words", ("key",), lambda: torch.arange(3))
    assert path.stat().st_mtime > 1


def test_nothing_to_clean_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path))
    assert clean_up(0) == 0


def test_the_bound_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOTION_TRACKER_TRAINING_CACHE_GIB", raising=False)
    assert training_bound() == 8 * 2**30
    monkeypatch.setenv("EMOTION_TRACKER_TRAINING_CACHE_GIB", "0.5")
    assert training_bound() == 2**29


@pytest.mark.parametrize("size", ["-1", "nan", "inf", "much", ""])
def test_a_bound_that_is_no_size(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("EMOTION_TRACKER_TRAINING_CACHE_GIB", size)
    with pytest.raises(AdapterError, match=r"EMOTION_TRACKER_TRAINING_CACHE_GIB is "):
        training_bound()


def test_the_command(kept: Path) -> None:
    assert len(adapters("cache").stdout.splitlines()) == 5
    assert "freed 0 MiB" in adapters("cache", "--clear").stdout
    assert not _names(kept)
