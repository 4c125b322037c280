"""Run voice detection and a segmenter over each channel of a session, and cut the turns out of the audio."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float32

from tracker.runtime.clock import samples_to_ns
from tracker.sources.media import RATE_HZ, AudioChunk
from tracker.turns.activity import STEP_S, WINDOW_S
from tracker.turns.changes import speaker_changes
from tracker.turns.crosstalk import Crosstalk
from tracker.turns.segmenter import (
    FRAME_MS,
    Decision,
    Limits,
    SegmentEnd,
    Segmenter,
    SegmentPause,
    SegmentProgress,
    SegmentResume,
    SegmentStart,
    SpeechFrame,
)
from tracker.turns.turn import Turn, TurnOpened, TurnPaused, TurnProgress, TurnRecord, TurnResumed
from tracker.turns.voice import FRAME_SAMPLES, audible

Samples = Float32[np.ndarray, " samples"]
Activity = Callable[[Samples], Bool[np.ndarray, "frames speakers"]]
EndpointSilence = Callable[[Samples], int]
"""The silence, in frames, that ends a turn with this audio where its speaker pauses."""

# A change of speaker is looked for at this pace while there is speech, and where it stops. It counts once two looks in
# a row find it: one look may take a "yes" or a sob for another speaker, and the next one, which hears more, does not.
_CHECK_FRAMES = 200 // FRAME_MS
_LEAST_NEW = round(0.2 / STEP_S)
_LEAST_OLD = round(0.25 / STEP_S)
_BEFORE_FRAMES = 200 // FRAME_MS  # heard before a change of speaker, for the beginning of its first word
_AFTER_FRAMES = 300 // FRAME_MS  # heard beyond a cut, for the end of its last word
_SAME_FRAMES = 200 // FRAME_MS  # two changes this close are one, and so are a change and where the turn seemed to end


class _AudioBuffer:
    """The last samples of one channel, indexed since session start."""

    def __init__(self) -> None:
        self._samples: Samples = np.zeros(0, np.float32)
        self._begin = 0

    @property
    def end(self) -> int:
        return self._begin + len(self._samples)

    def append(self, chunk: AudioChunk) -> None:
        """Add a chunk; samples lost before it become silence, so that indices stay media time."""
        lost = np.zeros(max(0, chunk.start - self.end), np.float32)
        self._samples = np.concatenate([self._samples, lost, chunk.samples])

    def cut(self, begin: int, end: int) -> Samples:
        return self._samples[begin - self._begin : end - self._begin]

    def forget(self, before: int) -> None:
        if before > self._begin:
            self._samples = self._samples[before - self._begin :].copy()
            self._begin = before


class _Channel:
    """One channel's detector, segmenter and audio; turns frames into decisions."""

    def __init__(
        self,
        frame: Callable[[Samples], SpeechFrame],
        limits: Limits,
        activity: Activity | None,
        wait: EndpointSilence | None,
    ) -> None:
        self.audio = _AudioBuffer()
        self.count = 0  # frames
        self._frame = frame
        self._activity = activity
        self._wait = wait
        self._segmenter = Segmenter(limits)
        self._ends: list[int] = []  # frames at which the turn under way seemed to end
        self._found: list[int] = []  # changes of speaker that the last look found
        self._recheck: int | None = None  # the frame count at which the next look is due, beside those at steady pace
        self._spoken = False  # since the last check
        self._overlapped: list[int] = []  # frames in which two people speak, since the start of the turn under way

    @property
    def waiting(self) -> int:
        """Whole frames that were fed and not yet processed."""
        return self.audio.end // FRAME_SAMPLES - self.count

    def next(self) -> Samples:
        """The next frame's samples."""
        return self.audio.cut(self.count * FRAME_SAMPLES, (self.count + 1) * FRAME_SAMPLES)

    def listen(self) -> SpeechFrame:
        """What the next frame sounds like; once, before `step`."""
        return self._frame(self.next())

    def step(self, frame: SpeechFrame) -> list[Decision]:
        """Process the next frame."""
        self.count += 1
        self._spoken |= frame.voiced
        decisions = self._segmenter.feed(frame)
        start = self._segmenter.start
        self._ends = [end for end in self._ends if start is not None and end > start]
        self._ends += [decision.would_be.end for decision in decisions if isinstance(decision, SegmentPause)]
        if self._activity and start is not None and self._spoken and self._due(start, decisions):
            self._spoken = False
            decisions += self._split(self._activity, start)
        start = self._segmenter.start
        if self._wait and start is not None and any(_stopped(decision) for decision in decisions):
            self._segmenter.wait(self._wait(self.audio.cut(start * FRAME_SAMPLES, self.count * FRAME_SAMPLES)))
        return decisions

    def _due(self, start: int, decisions: list[Decision]) -> bool:
        on_time = (self.count - start) % _CHECK_FRAMES == 0 or self.count == self._recheck
        return on_time or any(isinstance(decision, SegmentPause) for decision in decisions)

    def finish(self) -> list[Decision]:
        start = self._segmenter.start
        split = self._split(self._activity, start) if self._activity and start is not None else []
        return split + self._segmenter.finish()

    def overlapped(self, start: int, end: int) -> int:
        """In how many frames two people speak; those after the last check are not known."""
        return sum(start <= frame < end for frame in self._overlapped)

    def forget(self) -> None:
        """Forget audio that no turn can need any more."""
        self.audio.forget((self._segmenter.keep_from - _BEFORE_FRAMES) * FRAME_SAMPLES)

    def _split(self, activity: Activity, start: int) -> list[Decision]:
        begin = max(start, self.count - round(WINDOW_S * 1000 / FRAME_MS))
        active = activity(audible(self.audio.cut(begin * FRAME_SAMPLES, self.count * FRAME_SAMPLES)))
        self._note_overlap(active.sum(1) > 1, begin, start)
        changes = _in_frames(speaker_changes(active, _LEAST_NEW, _LEAST_OLD), begin)
        # Where the turn began by a change, its first words may still be the old voice's: that is the same change.
        found = [at for at in changes if at > start + _SAME_FRAMES]
        sure = [at for at in found if any(abs(at - earlier) <= _SAME_FRAMES for earlier in self._found)]
        if not sure:
            self._found = found
            return self._suspect(found)
        self._found = []
        return [decision for at in sure for decision in self._segmenter.split(self._known(at))]

    def _note_overlap(self, both: Bool[np.ndarray, " frames"], begin: int, start: int) -> None:
        """Remember in which frames two people speak, as the newest window shows it."""
        new = sorted(set(_in_frames(np.flatnonzero(both).tolist(), begin)))
        self._overlapped = [at for at in self._overlapped if start <= at < begin] + new

    def _suspect(self, maybe: list[int]) -> list[Decision]:
        """Where the turn under way ends if the next look finds the newest change, too."""
        late = [at for at in maybe if at > self.count - _CHECK_FRAMES - _AFTER_FRAMES]
        would_be = self._segmenter.would_split(self._known(late[-1])) if late else None
        if would_be is None or would_be.end in self._ends:
            return []
        if self.count < would_be.end + _AFTER_FRAMES:
            self._recheck = would_be.end + _AFTER_FRAMES
            return []
        self._ends.append(would_be.end)
        return [SegmentPause(would_be)]

    def _known(self, at: int) -> int:
        """A change where it was first found, where speculation may have begun: later checks may move it a little."""
        nearest = min(self._ends, key=lambda end: abs(end - at), default=at)
        return nearest if abs(nearest - at) <= _SAME_FRAMES else at


def _stopped(decision: Decision) -> bool:
    """Whether speech has stopped, and not only seems to pass to somebody else."""
    return isinstance(decision, SegmentPause) and decision.would_be.by == "pause"


def _in_frames(changes: list[int], begin: int) -> list[int]:
    """Output steps of the network, counted from frame ``begin``, as frames."""
    return [begin + round(change * STEP_S * 1000 / FRAME_MS) for change in changes]


class TurnSegmenter(Protocol):
    """Cuts chunks into turns."""

    @property
    def media_ns(self) -> int:
        """Media fed so far."""

    def feed(self, chunk: AudioChunk) -> Iterator[TurnRecord]:
        """Take the next chunk."""

    def pause(self, at: int) -> list[TurnRecord]:
        """Listening is paused before a sample: end the turns under way there."""

    def finish(self) -> Iterator[TurnRecord]:
        """End the turns under way."""


class AudioSegmenter:
    """Cuts turns out of the audio of all channels; the same records in the same order whatever the size of the chunks.

    All channels advance frame by frame in order of media time, so turns are numbered by time.

    Args:
        channels: How many channels the chunks come from.
        detector: Makes the speech detector of one channel, for frames of 20 ms.
        limits: The segmenter's numbers.
        activity: Marks who speaks when, to end a turn where the speaker changes; None where each channel is one
            speaker.
        wait: Decides at each pause how long it may last; None where it is always ``limits.silence``. It is given the
            audio until then and nothing else, so the turns still depend on the media alone.
        crosstalk: Finds the channels that only repeat another one, which are then not listened to; None where there
            is no other.
    """

    def __init__(
        self,
        channels: int,
        detector: Callable[[], Callable[[Samples], SpeechFrame]],
        limits: Limits,
        activity: Activity | None,
        wait: EndpointSilence | None = None,
        crosstalk: Crosstalk | None = None,
    ) -> None:
        self._crosstalk = crosstalk
        self._channels = [_Channel(detector(), limits, activity, wait) for _ in range(channels)]
        self._open: dict[tuple[int, int], int] = {}  # (channel, start frame) -> turn number
        self._opened = 0
        self._changed: dict[int, int] = {}  # channel -> the frame of its last change of speaker
        self._pauses: list[int] = []  # frames that all channels are heard up to before the turns end, ascending

    @property
    def media_ns(self) -> int:
        """Media fed so far, by the channel that is furthest."""
        return samples_to_ns(max(channel.audio.end for channel in self._channels), RATE_HZ)

    def feed(self, chunk: AudioChunk) -> Iterator[TurnRecord]:
        """Take the next chunk."""
        self._channels[chunk.channel].audio.append(chunk)
        yield from self._advance(over=False)
        for channel in self._channels:
            channel.forget()

    def pause(self, at: int) -> list[TurnRecord]:
        """Listening is paused before a sample, heard or still to come: the turns under way end there.

        They end once every channel is heard that far, since a pause leaves no trace in the audio: whoever hears a
        recording of it with the same pauses gets the same records.
        """
        insort(self._pauses, at // FRAME_SAMPLES)
        return list(self._advance(over=False))

    def finish(self) -> Iterator[TurnRecord]:
        """The media ended: end the turns under way. A last piece shorter than a frame is ignored."""
        yield from self._advance(over=True)
        yield from self._end()

    def _advance(self, over: bool) -> Iterator[TurnRecord]:
        """Process what was heard, the earliest frame first; wait for a channel that lags, until all is over."""
        while behind := [
            (channel.count, index) for index, channel in enumerate(self._channels) if channel.waiting > 0 or not over
        ]:
            count, _ = min(behind)
            row = [index for at, index in behind if at == count]
            if self._pauses and self._pauses[0] <= count:
                del self._pauses[0]
                yield from self._end()
            elif all(self._channels[index].waiting > 0 for index in row):
                for index, frame in zip(row, self._listen(row), strict=True):
                    yield from self._records(index, self._channels[index].step(frame))
                while self._crosstalk and self._crosstalk.news:
                    yield self._crosstalk.news.pop()
            else:
                return

    def _listen(self, row: list[int]) -> list[SpeechFrame]:
        """The next frame of each of these channels; what only repeats another channel is not voiced."""
        frames = [self._channels[index].listen() for index in row]
        if not self._crosstalk:
            return frames
        samples = np.zeros((len(self._channels), FRAME_SAMPLES), np.float32)
        voiced = np.zeros(len(self._channels), bool)
        for index, frame in zip(row, frames, strict=True):
            samples[index], voiced[index] = self._channels[index].next(), frame.voiced
        repeats = self._crosstalk.feed(samples, voiced)
        return [frame._replace(voiced=frame.voiced and not repeats[i]) for i, frame in zip(row, frames, strict=True)]

    def _end(self) -> Iterator[TurnRecord]:
        for index, channel in enumerate(self._channels):
            yield from self._records(index, channel.finish())

    def _records(self, index: int, decisions: list[Decision]) -> Iterator[TurnRecord]:
        for place, decision in enumerate(decisions):
            match decision:
                case SegmentStart(start):
                    self._opened += 1
                    self._open[index, start] = self._opened
                    yield TurnOpened(self._opened, index, _ns(start))
                case SegmentEnd(start):
                    yield self._turn(index, self._open.pop((index, start)), decision)
                    if decision.by == "speaker_change":
                        self._changed[index] = decision.end
                case SegmentPause(would_be) if not any(isinstance(later, SegmentEnd) for later in decisions[place:]):
                    yield TurnPaused(self._turn(index, self._open[index, would_be.start], would_be))
                case SegmentProgress(so_far):
                    yield TurnProgress(self._turn(index, self._open[index, so_far.start], so_far))
                case SegmentResume(start):
                    yield TurnResumed(self._open[index, start])

    def _turn(self, index: int, number: int, ended: SegmentEnd) -> Turn:
        audio = self._channels[index].audio
        ahead = _BEFORE_FRAMES if self._changed.get(index) == ended.start else 0
        beyond = min(ended.decided, ended.end + _AFTER_FRAMES) if ended.by in ("speaker_change", "max_length") else 0
        samples, before, after = (
            audio.cut(begin * FRAME_SAMPLES, end * FRAME_SAMPLES)
            for begin, end in (
                (ended.start, ended.end),
                (ended.start - ahead, ended.start),
                (ended.end, max(beyond, ended.end)),
            )
        )
        return Turn(
            number=number,
            channel=index,
            start_ns=_ns(ended.start),
            end_ns=_ns(ended.end),
            decided_ns=_ns(ended.decided),
            ended_by=ended.by,
            voiced_ns=_ns(ended.voiced),
            overlap_ns=_ns(self._channels[index].overlapped(ended.start, ended.end)),
            samples=audible(samples),
            before=audible(before, of=samples),
            after=audible(after, of=samples),
        )


def _ns(frames: int) -> int:
    return samples_to_ns(frames * FRAME_SAMPLES, RATE_HZ)
