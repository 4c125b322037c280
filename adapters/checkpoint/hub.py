"""Adapters on the Hugging Face hub: a folder goes up with a README made from its card.

Two files come down: nothing but ``adapter.safetensors`` and ``card.json`` is ever taken from a repository, and the
weights' hash must be the one in the card. That shows damage, not who made them: name a commit
(``hf:owner/name@commit``) to get what you checked.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download

from adapters.checkpoint import store
from adapters.checkpoint.model_card import describe
from adapters.errors import AdapterError, first_line

PREFIX = "hf:"
PRETRAINED = Path(__file__).parents[1] / "pretrained"
_NAME = re.compile(  # neither the hub nor git has two dots in a row, or a name that begins or ends with one
    r"(?!.*\.\.)(?P<repository>\b[\w.-]+\b/\b[\w.-]+\b)(@(?P<revision>\b[\w./-]+))?"
)


_Card = TypeVar("_Card")


@dataclass(frozen=True, slots=True)
class Kind(Generic[_Card]):
    """One kind of adapter: how its folder is checked, and its README made from its card."""

    verify: Callable[[Path], _Card]
    describe: Callable[[_Card], str]


EMOTIONS = Kind(store.verify, describe)


class Published(ModelHubMixin, library_name="emotion-tracker", tags=["emotion-recognition"]):
    """An adapter's folder, as the hub's own client pushes and pulls it.

    ``Published(folder).push_to_hub("owner/name")`` and ``Published.from_pretrained("owner/name").folder``.

    Args:
        folder: A checkpoint; checked here.

    Attributes:
        folder: As given.
        card: What is known about it.
        kind: How it is checked and described.

    Raises:
        AdapterError: The checkpoint is incomplete or damaged.
    """

    kind: ClassVar[Kind[Any]] = EMOTIONS

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card = self.kind.verify(folder)

    def _save_pretrained(self, save_directory: Path) -> None:
        for name in store.FILES:
            shutil.copyfile(self.folder / name, save_directory / name)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        **_: Any,
    ) -> Self:
        """As the hub's client has it, without the ``config.json`` that it would fetch first."""
        if Path(pretrained_model_name_or_path).is_dir():
            return cls(Path(pretrained_model_name_or_path))
        return cls(
            _fetch(
                str(pretrained_model_name_or_path),
                revision,
                force_download=force_download,
                token=token,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
            )
        )

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """The README of the repository."""
        return ModelCard(self.kind.describe(self.card), ignore_metadata_errors=True)


def push(
    folder: Path,
    repository: str,
    published: type[Published] = Published,
    *,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Publish an adapter.

    Args:
        folder: Its checkpoint.
        published: Of its kind.
        repository: ``owner/name``; made if it is not there.
        private: Whether only its owner can see a repository that is made.
        token: Of the hub's; the one that ``hf auth login`` has kept, if not given.

    Returns:
        Where the commit can be seen.

    Raises:
        AdapterError: The checkpoint is damaged, or the hub does not take it.
    """
    checked = published(folder)
    try:
        return str(checked.push_to_hub(repository, private=private, token=token, commit_message="Add the adapter"))
    except Exception as error:  # its HTTP library's errors come through, and which library that is has changed
        raise AdapterError(f"the hub does not take {repository}: {first_line(error)}") from error


def pull(name: str, check: Callable[[Path], object] = store.verify) -> Path:
    """Fetch an adapter, from the hub's cache where it is there.

    Args:
        name: ``hf:owner/name``, with ``@revision`` behind it for a branch, tag or commit; never a folder.
        check: Raises `AdapterError` where a folder is no whole adapter of the kind that is wanted.

    Returns:
        Its folder.

    Raises:
        AdapterError: The name is odd, the hub does not give it, or it is damaged.
    """
    match = _NAME.fullmatch(name.removeprefix(PREFIX))
    if match is None:
        raise AdapterError(f"{name!r} names no adapter on the hub: write hf:owner/name or hf:owner/name@revision")
    try:
        folder = _fetch(match["repository"], match["revision"])
    except Exception as error:  # as above
        raise AdapterError(f"the hub does not give {name}: {first_line(error)}") from error
    check(folder)
    return folder


def locate(name: str | Path, check: Callable[[Path], object] = store.verify) -> Path:
    """The folder of an adapter: one that ships, one on the hub (``hf:owner/name``), or a folder.

    Args:
        name: Its name.
        check: As `pull` has it.

    Raises:
        AdapterError: The hub does not give it.
    """
    if str(name).startswith(PREFIX):
        return pull(str(name), check)
    shipped = PRETRAINED / str(name)
    return shipped if shipped.is_dir() else Path(name)


def _fetch(repository: str, revision: str | None, **options: Any) -> Path:
    """The folder in the hub's cache with a checkpoint's two files; ``options`` are those of `hf_hub_download`."""
    found = [hf_hub_download(repository, name, revision=revision, **options) for name in store.FILES]
    return Path(found[-1]).parent
