"""Loading the models once, and putting the steps of a session together from them and the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from adapters.assets import SPEECH_ENCODER
from adapters.contract import AdapterError, Recogniser, RecogniserOptions
from adapters.features.acoustic import SpeechEncoder
from adapters.features.sounds import SoundDetector
from adapters.recogniser import backbone_of
from tracker.app import plugins
from tracker.app.video import NO_CAMERA, SessionVideo, face_readers, video_steps
from tracker.assets.fetch import from_elsewhere, public_name, whisper_folder
from tracker.assets.manifest import load_manifest
from tracker.assets.store import Store
from tracker.config import Config, TurnsConfig
from tracker.dialogue import Dialogue
from tracker.observe.campplus import VoiceEmbedder
from tracker.observe.gate import TextGate
from tracker.observe.languages import LanguageHabit
from tracker.observe.observe import ChannelNamer, SpeakerNamer, SpeechObserver, TurnObserver, VoiceNamer
from tracker.observe.sounds import nothing
from tracker.observe.speakers import EnrolledVoice, SpeakerRegistry
from tracker.observe.transcribe import AUTO, Transcriber, code_of
from tracker.observe.video.reader import FaceReader
from tracker.pipeline import Steps
from tracker.purpose import NOT_USED, words_only
from tracker.recognise import Recognise
from tracker.runtime.clock import Clock, SystemClock
from tracker.runtime.overload import LoadMonitor
from tracker.runtime.threads import FairLock
from tracker.sources.media import RATE_HZ
from tracker.sources.video import NoVideo
from tracker.speculate import SpeculativeSteps
from tracker.turns.activity import SpeakerActivity
from tracker.turns.completeness import TurnCompleteness
from tracker.turns.crosstalk import Crosstalk
from tracker.turns.endpoint import EndpointRule
from tracker.turns.segment import AudioSegmenter, EndpointSilence, Samples
from tracker.turns.segmenter import FRAME_MS, Limits
from tracker.turns.voice import VoiceDetector

BUILT_IN = "adapter"  # entry point of the recognisers that this package trains
BACKBONE = "smollm2-135m-instruct"
SEGMENTATION = "pyannote-segmentation-3.0"
TURN_COMPLETENESS = "smart-turn-v3"
DETECTOR = "centerface"
EXPRESSIONS = "mini-xception-fer"
SOUNDS = "yamnet"
_NOISE = (0.01 * np.random.default_rng(0).standard_normal(2 * RATE_HZ)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions of the process wait for: one line per model, and how many turns wait altogether."""

    speech_lock: FairLock = field(default_factory=FairLock)
    speaker_lock: FairLock = field(default_factory=FairLock)
    llm_lock: FairLock = field(default_factory=FairLock)
    load: LoadMonitor = field(default_factory=lambda: LoadMonitor(SystemClock()))


@dataclass(frozen=True, slots=True)
class Models:
    """Everything that is loaded once and serves every session of the process."""

    encoder: SpeechEncoder
    transcriber: Transcriber
    activity: SpeakerActivity
    embed: VoiceEmbedder
    recogniser: Recogniser
    sounds: SoundDetector
    names: dict[str, str]
    shared: Shared = field(default_factory=Shared)
    new_face_reader: Callable[[], FaceReader] | None = None
    complete: Callable[[Samples], float] | None = None


def needed_assets(config: Config, faces: bool = False) -> list[str]:
    """The assets that a session with these settings loads, with those for faces where there is video."""
    words = config.transcribe.model
    return [
        *(SPEECH_ENCODER, config.speakers.model, SEGMENTATION, SOUNDS),
        *((words,) if words != SPEECH_ENCODER and not from_elsewhere(words) else ()),
        *((llm,) if (llm := _llm(config)) else ()),
        *((DETECTOR, EXPRESSIONS) if faces else ()),
        *((TURN_COMPLETENESS,) if adaptive(config) else ()),
    ]


def _llm(config: Config) -> str | None:
    """The asset of the LLM that judges, or None where it is none.

    Of an adapter on the hub it is not known yet, and one that cannot be used is refused later: both get the default's.
    """
    if config.recognise.recogniser != BUILT_IN:
        return None
    try:
        name = backbone_of(config.recognise.adapter) or BACKBONE
    except AdapterError:
        return BACKBONE
    return name if name in load_manifest().assets else None


def load_models(config: Config, faces: bool = False) -> Models:
    """Load every model, and run each once, so that the first turn waits no longer than others; takes seconds.

    What is missing is pulled first, and every file is compared with its hash.

    Args:
        config: Which ones, and on which device.
        faces: Whether a session has video.

    Raises:
        AssetError: A model is missing and cannot be had, or is damaged.
        AdapterError: The adapter's checkpoint cannot be used.
    """
    folder = cache(Store(config.assets.paths).verified)
    activity, embed = SpeakerActivity(folder(SEGMENTATION)), VoiceEmbedder(folder(config.speakers.model))
    sounds = SoundDetector(folder(SOUNDS))
    complete = TurnCompleteness(folder(TURN_COMPLETENESS)) if adaptive(config) else None
    # Those of PyTorch one after the other: while it loads one, it sets the number format of all that are made.
    with ThreadPoolExecutor(1) as beside:
        hearing = beside.submit(_load_hearing, config, folder(SPEECH_ENCODER), words_folder(config, folder))
        wanted = config.recognise
        options = RecogniserOptions(
            wanted.adapter,
            backbones={llm: folder(llm)} if (llm := _llm(config)) else {},
            device=wanted.device,
            threads=1,  # models run side by side; threads of one wait for each other where another one has the core
            abstain_below=wanted.abstain_below,
            dimensions=tuple(wanted.dimensions),
        )
        judge = plugins.recogniser(wanted.recogniser, options)
        activity(_NOISE)
        embed(_NOISE)
        sounds(_NOISE)
        if complete:
            complete(_NOISE)
        encoder, transcriber = hearing.result()
    return Models(
        encoder=encoder,
        transcriber=transcriber,
        activity=activity,
        embed=embed,
        recogniser=judge,
        sounds=sounds,
        names={
            "transcriber": public_name(config.transcribe.model),
            "speaker": config.speakers.model,
            "segmentation": SEGMENTATION,
            "sounds": SOUNDS,
            "backbone": judge.backbone_id,
            "adapter": judge.adapter_id,
            **({"faces": DETECTOR, "expressions": EXPRESSIONS} if faces else {}),
            **({"endpoint": TURN_COMPLETENESS} if complete else {}),
        },
        new_face_reader=face_readers(folder(DETECTOR), folder(EXPRESSIONS), config.video.min_face_px)
        if faces
        else None,
        complete=complete,
    )


def words_folder(config: Config, asset: Callable[[str], Path]) -> Path:
    """Where the model lies that hears the words.

    Args:
        config: The settings.
        asset: Finds the folder of an asset.

    Raises:
        AssetError: It is missing and cannot be had.
    """
    name = config.transcribe.model
    return whisper_folder(name) if from_elsewhere(name) else asset(name)


def _load_hearing(config: Config, voice: Path, words: Path) -> tuple[SpeechEncoder, Transcriber]:
    transcribe = config.transcribe
    encoder = SpeechEncoder(voice, transcribe.device, threads=1)
    gate = TextGate(transcribe.no_speech_above, transcribe.logprob_below, transcribe.compression_above)
    shared = encoder if words == voice else None
    transcriber = Transcriber(
        words, transcribe.language, gate, shared, transcribe.device, transcribe.beam, transcribe.translate
    )
    transcriber(_NOISE, encoder.encode(_NOISE))
    return encoder, transcriber


def steps(
    models: Models,
    config: Config,
    channels: int,
    clock: Clock,
    video: SessionVideo = NO_CAMERA,
    enrolled: Sequence[EnrolledVoice] = (),
) -> Steps:
    """The steps of one new session.

    Args:
        models: Loaded once.
        config: The settings.
        channels: How many channels the source has; with more than one, each is a speaker of its own.
        clock: Times the steps.
        video: Where the frames come from, and what of them is recorded.
        enrolled: Voices that are known before it.
    """
    one_voice_each, shared = channels > 1, models.shared
    name: SpeakerNamer = ChannelNamer()
    if not one_voice_each:
        speakers = config.speakers
        registry = SpeakerRegistry(
            speakers.same_above, speakers.max_speakers, speakers.short_turn_s, speakers.continuity, enrolled
        )
        name = VoiceNamer(models.embed, registry)
    unused = NOT_USED if words_only(config.session.purpose, config.session.exception) else None
    language = code_of(config.transcribe.language)
    languages = LanguageHabit(None if language == AUTO else language)
    listen = SpeechObserver(
        models.encoder, models.transcriber, config.recognise.min_voice_s, unused, languages, config.transcribe.words
    )
    judge = models.recogniser
    most = min(config.dialogue.max_tokens, judge.max_tokens)
    dialogue = Dialogue(config.dialogue.max_turns, most, judge.count_tokens)
    video = SessionVideo(NoVideo(unused)) if unused else video
    video_part = video_steps(video, models.new_face_reader, config.video.rate_hz, config.video.offset_ms, clock)
    observe = TurnObserver(
        *(listen, name, clock, video_part.faces, shared.speech_lock, shared.speaker_lock, languages),
        sounds=nothing if unused else models.sounds,
    )
    recognise = Recognise(judge, dialogue, clock, shared.llm_lock)
    return Steps(
        segmenter=AudioSegmenter(
            channels,
            lambda: (
                VoiceDetector(
                    config.turns.vad_mode, config.turns.speech_gate, None if unused else models.sounds.emotional
                ).frame
            ),
            limits(config.turns),
            None if one_voice_each else models.activity,
            waiting(config.turns, models.complete) if adaptive(config) and models.complete else None,
            Crosstalk(channels) if one_voice_each else None,
        ),
        observe=observe,
        recognise=recognise,
        speculative=SpeculativeSteps(observe.speculate, recognise.speculate, config.turns.partials)
        if config.turns.speculate
        else None,
        watcher=video_part.watcher,
        frames=video_part.buffer,
    )


def limits(turns: TurnsConfig) -> Limits:
    """The segmenter's numbers in frames, from milliseconds."""
    return Limits(
        window=turns.start_window_ms // FRAME_MS,
        needed=turns.start_voiced_ms // FRAME_MS,
        pre_roll=turns.pre_roll_ms // FRAME_MS,
        hangover=turns.hangover_ms // FRAME_MS,
        least_voiced=turns.min_voiced_ms // FRAME_MS,
        pause=turns.pause_ms // FRAME_MS,
        silence=(turns.adaptive_max_ms if turns.endpoint == "adaptive" else turns.end_silence_ms) // FRAME_MS,
        maximum=round(turns.max_turn_s * 1000) // FRAME_MS,
        progress=round(turns.partial_every_s * 1000) // FRAME_MS if turns.partials else 0,
    )


def waiting(turns: TurnsConfig, complete: Callable[[Samples], float]) -> EndpointSilence:
    """How long the pause of a turn may last, by how complete it sounds."""
    patience = EndpointRule(turns.adaptive_min_ms // FRAME_MS, turns.adaptive_max_ms // FRAME_MS, turns.complete_above)
    return lambda samples: patience.silence(complete(samples))


def adaptive(config: Config) -> bool:
    """Whether the end of a turn depends on how complete it sounds."""
    return config.turns.endpoint == "adaptive"
