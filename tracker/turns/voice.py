"""Which 20 ms frames are voice: webrtcvad, confirmed by the Silero network, or by one that knows laughter and sobs.

webrtcvad alone takes room noise for speech (it finds 88 % voice, at mode 2, in a meeting excerpt in which nobody
speaks near the microphone); Silero alone, at 0.2 % of one core, does not. A frame is speech where both agree. But
Silero knows no laughter: where webrtcvad alone hears a voice for half a second, a third network is asked about it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cached_property, partial
from importlib.resources import files

import numpy as np
import onnxruntime
import webrtcvad
from jaxtyping import Float32

from tracker.sources.media import RATE_HZ
from tracker.turns.segmenter import FRAME_MS, SpeechFrame

FRAME_SAMPLES = RATE_HZ * FRAME_MS // 1000
_WINDOW, _CONTEXT = 512, 64  # samples the network takes at 16 kHz: new ones, and those just before them
_SILENT_DB = -100.0
_QUIET, _WANTED = 0.01, 0.03  # the loudest sample up to which the detectors miss voices, and to which it is amplified
_MOST = 100.0  # more would be the noise of 16 bits
_PATIENCE = 50  # frames: most recordings begin with a quiet second
_LAUGHTER, _LOOK, _ENOUGH = 48, 24, 24  # frames: heard at once, between two looks, and of voice without speech
_FADE = 0.99  # of the loudest sample that was no voice, with each frame: 4 dB a second

Laughs = Callable[[Float32[np.ndarray, " samples"]], bool]


class SpeechNetwork:
    """Silero VAD v6 as faster-whisper ships it, run window by window with its state carried on."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 4
        model = files("faster_whisper") / "assets" / "silero_vad_v6.onnx"
        self._session = onnxruntime.InferenceSession(
            model.read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._hidden = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)
        self._pending = np.zeros(_CONTEXT, np.float32)
        self._probability = 0.0

    def feed(self, samples: Float32[np.ndarray, " samples"]) -> float:
        """The probability of speech in the last whole window, these samples included."""
        self._pending = np.concatenate([self._pending, samples])
        while len(self._pending) >= _CONTEXT + _WINDOW:
            window = self._pending[None, : _CONTEXT + _WINDOW]
            probability, self._hidden, self._cell = self._session.run(
                None, {"input": window, "h": self._hidden, "c": self._cell}
            )
            self._probability = float(probability[0])
            self._pending = self._pending[_WINDOW:]
        return self._probability


class Loudness:
    """How much a channel is to be amplified so that the detectors hear a quiet voice in it.

    With the loudest sample 54 dB below full scale they find next to nothing. Amplified, they find nearly as much there
    as in the same recording at its own level (a call, three meetings, acted speech), and no voice in two meetings in
    which nobody speaks. What was loud without being a voice is forgotten within seconds; a voice never is. So the
    pauses of an ordinary session are not amplified.
    """

    def __init__(self) -> None:
        self._sound = self._voice = 0.0  # the loudest samples
        self._quiet = 0  # frames

    def gain(self, peak: float, voiced: bool) -> float:
        """The factor for the next frame; 1 where it is loud enough.

        Args:
            peak: Its loudest sample.
            voiced: Whether it is a voice without being amplified.
        """
        self._sound = max(peak, self._sound * _FADE)
        if voiced:
            self.heard(peak)
        gain = _gain(max(self._sound, self._voice))
        self._quiet = self._quiet + 1 if gain > 1 else 0
        return gain if self._quiet > _PATIENCE else 1.0

    def heard(self, peak: float) -> None:
        """A frame with this peak was a voice."""
        self._voice = max(peak, self._voice)


def audible(
    samples: Float32[np.ndarray, " samples"], of: Float32[np.ndarray, " others"] | None = None
) -> Float32[np.ndarray, " samples"]:
    """Samples as they are, or amplified where all of them are so quiet that words would be lost.

    Args:
        samples: Any.
        of: The sound that they belong to, which decides in their place.
    """
    loudest = float(np.abs(samples if of is None else of).max(initial=0.0))
    amplified: Float32[np.ndarray, " samples"] = np.clip(samples * np.float32(_gain(loudest)), -1, 1)
    return amplified


def _gain(loudest: float) -> float:
    return min(_WANTED / loudest, _MOST) if 0 < loudest < _QUIET else 1.0


class VoiceDetector:
    """Turns one channel's samples into frames of evidence, in order; a quiet voice is amplified first.

    Args:
        mode: webrtcvad's aggressiveness, from 0 (most frames are speech) to 3.
        speech_gate: Probability that the network must reach, in [0, 1]; 0 leaves webrtcvad alone.
        laughs: Whether somebody laughs, sobs or screams in 0.96 s of sound; None where nobody listens for that.
    """

    def __init__(self, mode: int, speech_gate: float, laughs: Laughs | None = None) -> None:
        self._detectors = partial(_Detectors, mode, speech_gate, laughs)
        self._as_it_is = self._detectors()
        self._loudness = Loudness()

    @cached_property
    def _amplified(self) -> _Detectors:
        """Only quiet sound needs them."""
        return self._detectors()

    def frame(self, samples: Float32[np.ndarray, " 320"]) -> SpeechFrame:
        """The evidence of the next 20 ms."""
        power = float(np.mean(np.square(samples, dtype=np.float64)))
        level = 10 * np.log10(power) if power > 1e-10 else _SILENT_DB
        voiced = self._as_it_is(samples)
        peak = float(np.abs(samples).max())
        gain = self._loudness.gain(peak, voiced)
        if gain > 1 and self._amplified(samples * np.float32(gain)):
            voiced = True
            self._loudness.heard(peak)
        return SpeechFrame(voiced, float(level))


class _Wordless:
    """Laughter, sobs and screams, looked for only where there is a voice without speech."""

    def __init__(self, laughs: Laughs) -> None:
        self._laughs = laughs
        self._samples: deque[Float32[np.ndarray, " 320"]] = deque(maxlen=_LAUGHTER)
        self._unconfirmed: deque[bool] = deque(maxlen=_LAUGHTER)
        self._until_look = 0
        self._hold = 0

    def feed(self, samples: Float32[np.ndarray, " 320"], voice: bool, speech: bool) -> bool:
        """Whether the next frame belongs to such a sound, as it was found shortly before."""
        self._samples.append(samples)
        self._unconfirmed.append(voice and not speech)
        self._until_look -= 1
        self._hold -= 1
        if self._until_look <= 0 and sum(self._unconfirmed) >= _ENOUGH and len(self._samples) == _LAUGHTER:
            self._until_look = _LOOK
            if self._laughs(np.concatenate(self._samples)):
                self._hold = _LOOK
        return self._hold > 0


class _Detectors:
    def __init__(self, mode: int, speech_gate: float, laughs: Laughs | None) -> None:
        self._vad = webrtcvad.Vad(mode)
        self._wordless = _Wordless(laughs) if laughs and speech_gate > 0 else None
        self._network = SpeechNetwork() if speech_gate > 0 else None
        self._gate = speech_gate

    def __call__(self, samples: Float32[np.ndarray, " 320"]) -> bool:
        """Whether the next 20 ms are speech."""
        confirmed = self._network is None or self._network.feed(samples) >= self._gate
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        # webrtcvad adapts, so it is given every frame, confirmed or not.
        voice = bool(self._vad.is_speech(pcm, RATE_HZ))
        wordless = self._wordless is not None and self._wordless.feed(samples, voice, confirmed)
        return voice and (confirmed or wordless)
