"""``python -m adapters push``: publish a trained adapter of any kind on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from adapters.checkpoint import dimensions, hub
from adapters.checkpoint.hub import Kind, Published
from adapters.checkpoint.model_card import describe_dimensions
from adapters.published import checkpoint as published
from adapters.published.model_card import describe as describe_published


class OfDimensions(Published, library_name="emotion-tracker", tags=["emotion-recognition"]):
    """An adapter for dimensions of affect."""

    kind: ClassVar[Kind[Any]] = Kind(dimensions.verify, describe_dimensions)


class InPapersLayout(Published, library_name="emotion-tracker", tags=["emotion-recognition"]):
    """An adapter in the paper's own layout."""

    kind: ClassVar[Kind[Any]] = Kind(published.verify, describe_published)


def kind_of(folder: Path) -> type[Published]:
    """What kind of adapter a folder holds; one for emotions where nothing says otherwise."""
    if published.is_one(folder):
        return InPapersLayout
    return OfDimensions if dimensions.is_one(folder) else Published


def main(
    folder: Annotated[Path, typer.Argument(help="The adapter's checkpoint.")],
    repository: Annotated[str, typer.Argument(help="owner/name on the hub.")],
    private: Annotated[bool, typer.Option("--private", help="Only for its owner's eyes.")] = False,
) -> None:
    """Publish an adapter on the Hugging Face hub; log in with `hf auth login` first."""
    typer.echo(hub.push(folder, repository, kind_of(folder), private=private))
