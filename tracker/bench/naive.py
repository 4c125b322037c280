"""The baseline: each turn in a window of 30 s, the whole dialogue through the whole LLM again, no speculation.

It segments the same turns and names speakers by the same voices, so that only words and judgement differ. It uses the
same weights on as many threads, and ignores the voice. `transcribe()` runs with its defaults: in float32, with 5 beams
(``beam = 1``: one).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from faster_whisper import WhisperModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from adapters.contract import MELD_LABELS, Absent, DialogueState, EmotionScores, Modality, TurnInput
from adapters.recogniser import choose_device, choose_dtype
from tracker.app.models import Models
from tracker.app.models import steps as real_steps
from tracker.config import Config
from tracker.dialogue import Dialogue
from tracker.observe.observe import ChannelNamer, SpeakerNamer, SpeechResult, TurnObserver, VoiceNamer
from tracker.observe.records import Transcript
from tracker.observe.speakers import SpeakerRegistry
from tracker.observe.video.faces import no_faces
from tracker.pipeline import Steps
from tracker.recognise import Recognise
from tracker.runtime.clock import Clock
from tracker.turns.turn import Turn

_NO_VOICE = "not read by the baseline"
_QUESTION = "\nOne word for the emotion of the last turn:"


class NaiveModels:
    """The models of the baseline.

    Args:
        whisper: The asset that the tracker's transcriber is loaded from.
        llm: The asset that its LLM is loaded from.
        language: BCP 47 tag of the language spoken.
        beam: Beam size of the transcription.
    """

    labels = MELD_LABELS

    def __init__(self, whisper: Path, llm: Path, language: str, beam: int) -> None:
        self._language = language
        self._beam = beam
        threads = min(4, os.cpu_count() or 1)  # as the tracker's
        self._whisper = WhisperModel(str(whisper), device="cpu", compute_type="float32", cpu_threads=threads)
        self._tokenizer = AutoTokenizer.from_pretrained(llm)
        dtype = choose_dtype("auto", choose_device("cpu"))
        logging.disable_progress_bar()
        self._llm = AutoModelForCausalLM.from_pretrained(llm, dtype=dtype).eval()
        self._labels = [self._tokenizer.encode(f" {label}")[0] for label in MELD_LABELS.labels]

    def warm_up(self) -> None:
        """Run each model once."""
        for _ in self._whisper.transcribe(np.zeros(16_000, np.float32), language=self._language)[0]:
            pass
        with torch.inference_mode():
            self._llm(input_ids=torch.zeros(1, 8, dtype=torch.long))

    def transcribe(self, turn: Turn) -> SpeechResult:
        """The words of a turn, by faster-whisper."""
        segments, _ = self._whisper.transcribe(turn.samples, language=self._language, beam_size=self._beam)
        text = " ".join(segment.text.strip() for segment in segments)
        why_empty = None if text else "no words recognised"
        return SpeechResult(Transcript(text, self._language, why_empty), Absent(_NO_VOICE))

    def start(self) -> DialogueState:
        """Nothing is kept of a dialogue."""
        return DialogueState()

    def follow(self, turn: TurnInput, state: DialogueState) -> tuple[EmotionScores, DialogueState]:
        """The probability of each emotion's name as the next word; nothing is cached."""
        lines = [f"{one.speaker}: {one.text}" for one in (*turn.history, turn.utterance)]
        ids = self._tokenizer("\n".join(lines) + _QUESTION, return_tensors="pt").input_ids
        with torch.inference_mode():
            logits = self._llm(input_ids=ids, use_cache=False).logits
        row = logits[0, -1, self._labels].double().softmax(-1)
        modalities: dict[Modality, str] = {"text": "used", "audio": _NO_VOICE, "video": "no camera"}
        return EmotionScores(MELD_LABELS, tuple(row.tolist()), modalities), state


def naive_steps(naive: NaiveModels, models: Models, config: Config, channels: int, clock: Clock) -> Steps:
    """The steps of one session of the baseline.

    Args:
        naive: Its models.
        models: The tracker's, for segmentation and speakers.
        config: The settings.
        channels: How many channels the source has.
        clock: Times the steps.
    """
    real, settings = real_steps(models, config, channels, clock), config.speakers
    registry = SpeakerRegistry(settings.same_above, settings.max_speakers, settings.short_turn_s, settings.continuity)
    name: SpeakerNamer = VoiceNamer(models.embed, registry) if channels == 1 else ChannelNamer()
    judge = models.recogniser
    most = min(config.dialogue.max_tokens, judge.max_tokens)
    dialogue = Dialogue(config.dialogue.max_turns, most, judge.count_tokens)
    return replace(
        real,
        observe=TurnObserver(naive.transcribe, name, clock, no_faces("no camera")),
        recognise=Recognise(naive, dialogue, clock),
        speculative=None,
    )
