"""The panels of the dashboard, each drawn as lines of a given width."""

from __future__ import annotations

from rich.text import Text

from tracker.dashboard.blocks import Lines, bar, fit, justify, wrap
from tracker.dashboard.screen import Screen
from tracker.dashboard.timeline import timeline
from tracker.dashboard.view import Speaker
from tracker.metrics.gauges import SILENCE_DB, Status
from tracker.metrics.model import SessionMetrics
from tracker.metrics.stages import STAGES, stage_percentiles
from tracker.observe.video.watcher import VideoState
from tracker.runtime.overload import Level
from tracker.sinks.palette import Glyphs, emotion_colour, letter, speaker_colour
from tracker.sinks.text import clock_time, header, outcome, printable

_NS_PER_MIN = 60_000_000_000


def head(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """The source, its state and level, and the notice."""
    view = screen.view
    if screen.waiting:
        return [Text(f"waiting for a session {glyphs.more}", "bold")]
    if not view.started:
        lines = [justify(Text(f"starting {glyphs.more}", "bold"), state(screen, glyphs), width, glyphs)]
    else:
        name = Text.assemble((header(view.started), "bold"), (f"{glyphs.dot}{printable(view.started.software)}", "dim"))
        if screen.sessions[1] > 1:
            name = Text.assemble((f"[{screen.sessions[0]}/{screen.sessions[1]}] ", "bold"), name)
        lines = [justify(name, state(screen, glyphs), width, glyphs)]
    if screen.notice:
        lines += [fit(Text(line, "italic"), width, glyphs) for line in wrap(screen.notice, width)[:2]]
    return lines


def state(screen: Screen, glyphs: Glyphs) -> Text:
    """Whether it listens, is paused or has ended; the time; the level."""
    view, status = screen.view, screen.status
    time = clock_time(screen.now_ns)
    if screen.playback:
        speed = "max" if screen.playback.speed is None else f"{screen.playback.speed:g}"
        word = f"{glyphs.paused} PAUSED" if screen.playback.paused else f"{glyphs.here} REPLAY"
        return Text(f"{word} x{speed} {time}", "bold")
    if view.ended:
        return Text(f"{view.ended.outcome.upper()} {time}", "bold")
    if view.paused or status.paused:
        return Text(f"{glyphs.paused} PAUSED, nothing is heard {time}", "bold reverse")
    live = Text.assemble((f"{glyphs.live} LISTENING ", "bold red"), (time, "bold"))
    for level in status.levels_db[:2]:
        share = (level - SILENCE_DB) / -SILENCE_DB
        live.append_text(Text.assemble("  ", bar(share, 8, "green", glyphs), f" {level:>3.0f} dB"))
    return live


def speaking(screen: Screen, glyphs: Glyphs) -> Text:
    """Whether a turn is under way, and on which channel; its speaker is known once it is judged."""
    running = [row for row in screen.view.rows if row.state == "speaking"]
    if not running or screen.view.ended:
        return Text("no turn under way", "dim")
    channels = screen.view.started.channels if screen.view.started else 1
    names = [f"channel {row.channel + 1}, " if channels > 1 else "" for row in running]
    since = clock_time(running[0].start_ns)
    return Text(f"{glyphs.live} turn under way: {''.join(dict.fromkeys(names))}since {since}", "bold")


def speakers(screen: Screen, width: int, height: int, glyphs: Glyphs) -> Lines:
    """Each speaker's present emotion, and a timeline of the last minutes; two lines each where there is room.

    Where turns have a valence and there is room for a third line, it is a curve of that.
    """
    everyone = list(enumerate(screen.view.speakers))
    if not everyone:
        return [Text("no speaker has been heard yet", "dim")]
    two = 2 * len(everyone) + 1 <= height
    curves = screen.view.has_valence and 3 * len(everyone) + 2 <= height
    most = len(everyone) if two else max(1, height - 1)
    latest = sorted(everyone, key=lambda one: -(one[1].judgements[-1].end_ns if one[1].judgements else 0))[:most]
    name = min(max(len(one.name) for _, one in latest) + 2, max(11, width // 4))
    minutes = 5 if two else 2
    lines = []
    for place, speaker in sorted(latest):
        now = _now(speaker, name, place, screen, glyphs)
        if two:
            cells = max(4, width - 4)
            lines += [now, Text("  ").append_text(_timeline(screen, speaker, minutes, cells, glyphs))]
            lines += [Text("  ").append_text(_curve(screen, speaker, minutes, cells, glyphs))] if curves else []
        else:
            cells = max(4, width - len(now.plain) - 2)
            lines.append(Text.assemble(now, "  ", _timeline(screen, speaker, minutes, cells, glyphs)))
    legend = wrap(_legend(screen, minutes), width) if two else (_legend(screen, minutes),)
    if curves:
        low, middle, high = glyphs.levels[0], glyphs.levels[len(glyphs.levels) // 2], glyphs.levels[-1]
        legend = (*legend, *wrap(f"valence: {low} unpleasant {middle} neither {high} pleasant", width))
    return [*lines, *(Text(line, "dim") for line in legend)][:height]


def _now(speaker: Speaker, name: int, place: int, screen: Screen, glyphs: Glyphs) -> Text:
    only = screen.choices.speaker_filter == speaker.id
    called = fit(Text(f"{place + 1} {speaker.name}", f"bold {speaker_colour(place)}"), name, glyphs)
    line = Text.assemble((glyphs.here if only else " "), called, " ")
    if not speaker.judgements:
        return line
    judgement = speaker.judgements[-1]
    style = "dim" if judgement.unsure else f"bold {emotion_colour(judgement.emotion, screen.view.labels)}".strip()
    line.append(f"{judgement.emotion + '?' * judgement.unsure:<{screen.view.emotion_width}} ", style)
    return line.append_text(bar(judgement.confidence, 8, style, glyphs)).append(f" {judgement.confidence:>4.0%}", style)


def _timeline(screen: Screen, speaker: Speaker, minutes: int, cells: int, glyphs: Glyphs) -> Text:
    text = Text()
    for judgement in timeline(speaker.judgements, screen.now_ns, minutes * _NS_PER_MIN, cells):
        if judgement is None:
            text.append(glyphs.idle, "dim")
        elif judgement.unsure:
            text.append("?", "dim")
        else:
            colour = emotion_colour(judgement.emotion, screen.view.labels)
            text.append(letter(judgement.emotion, screen.view.labels), f"bold {colour} reverse" if colour else "bold")
    return text


def _curve(screen: Screen, speaker: Speaker, minutes: int, cells: int, glyphs: Glyphs) -> Text:
    text, last = Text(), len(glyphs.levels) - 1
    for judgement in timeline(speaker.judgements, screen.now_ns, minutes * _NS_PER_MIN, cells):
        if judgement is None or judgement.valence is None:
            text.append(" ")
        else:
            text.append(glyphs.levels[round(min(1.0, max(0.0, (judgement.valence + 1) / 2)) * last)])
    return text


def _legend(screen: Screen, minutes: int) -> str:
    labels = screen.view.labels
    return f"{minutes} min: " + " ".join(f"{letter(label, labels)} {label}" for label in labels) + " ? unsure"


def banner(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """The last judged turn in large type."""
    row = next((row for row in reversed(screen.view.rows) if row.judged), None)
    if row is None:
        return [Text(" " * width, "reverse")] * 3
    name = screen.view.name_of(row.speaker)
    words = f"unsure, perhaps {row.emotion}" if row.state == "unsure" else row.emotion.upper()
    spaced = f"{name}:  {words if row.state == 'unsure' else ' '.join(words)}   {row.confidence:.0%}"
    colour = "dim" if row.state == "unsure" else emotion_colour(row.emotion, screen.view.labels)
    line = fit(Text(spaced.center(width)), width, glyphs)
    empty = Text(" " * width)
    for part in (line, empty):
        part.stylize(f"bold reverse {colour}".strip())
    return [empty, line, empty]


def latency(screen: Screen, width: int, glyphs: Glyphs) -> Lines:
    """The latency of each stage: median and 95th percentile."""
    lines = [Text(f"{'milliseconds':<22}{'p50':>7}{'p95':>8}", "dim")]
    for name in ("event", *STAGES):
        words = {"event": "end of speech to event", "total": "decision to event"}.get(name, f"  {name}")
        found = stage_percentiles(screen.view.latencies, name)
        numbers = f"{found.p50:>7.0f}{found.p95:>8.0f}" if found else f"{'':>6}{glyphs.idle}{'':>7}{glyphs.idle}"
        lines.append(fit(Text(f"{words:<22}{numbers}", "bold" if name == "event" else ""), width, glyphs))
    return lines


def latency_line(screen: Screen) -> str:
    """The latency in one line."""
    event, endpoint = (stage_percentiles(screen.view.latencies, name) for name in ("event", "endpoint"))
    if not event or not endpoint:
        return "no latency yet"
    return f"event p50 {event.p50 / 1000:.1f} s p95 {event.p95 / 1000:.1f} s (endpoint p50 {endpoint.p50 / 1000:.1f} s)"


def modalities(screen: Screen, glyphs: Glyphs) -> Text:
    """Which modalities the last turn was judged by, and why not by the others."""
    words = {"text": "words", "audio": "voice", "video": "face"}
    text = Text()
    for index, (name, use) in enumerate(screen.view.modalities):
        if index:
            text.append("  ")
        if use == "used":
            text.append(f"{glyphs.yes} {words.get(name, name)}", "green")
        else:
            text.append(f"{glyphs.no} {words.get(name, name)}: {use}", "dim")
    return text if screen.view.modalities else Text("no turn has been judged yet", "dim")


def connections(status: Status, glyphs: Glyphs) -> Lines:
    """Where pictures come from and events go, and what is lost."""
    lines = [Text.assemble("video     ", video(status.video))] if status.video.source else []
    lines += [
        Text.assemble("broker    ", (printable(status.broker) or "off", "dim" if not status.broker else "")),
        Text.assemble("recorder  ", (printable(status.recorder) or "off", "dim" if not status.recorder else "")),
    ]
    lost = [f"{queue.name} {queue.dropped}" for queue in status.queues if queue.dropped]
    if status.lost_samples:
        lost.append(f"{status.lost_samples} samples")
    if lost:
        lines.append(Text.assemble("dropped   ", (", ".join(lost), "bold red")))
    if status.metrics and status.metrics.overload != "normal":
        words = describe_overload(status.metrics.overload)
        lines.append(Text(f"overload  {words} ({status.metrics.waiting_turns})", "bold red"))
    if status.failed_sinks:
        lines.append(Text(f"{glyphs.no} left out: {', '.join(status.failed_sinks)}", "bold red"))
    return lines


def machine(status: Status) -> Lines:
    """Queues and cost."""
    busy = [f"{queue.name} {queue.depth}/{queue.capacity}" for queue in status.queues if queue.depth]
    waiting = Text.assemble("waiting   ", (", ".join(busy) or "nothing", "" if busy else "dim"))
    return [waiting, *(_cost(status.metrics) if status.metrics else [])]


def _cost(metrics: SessionMetrics) -> Lines:
    """Processor and memory, fallbacks, speculation."""
    lines = [Text(f"cost      {metrics.real_time_factor:.2f} of a core, {metrics.rss_mb:.0f} MB")]
    if metrics.fallbacks:
        lines.append(Text(f"repeats   {metrics.fallbacks} turn{'s' if metrics.fallbacks > 1 else ''} decoded twice"))
    if speculated := metrics.speculation_hits + metrics.speculation_wasted:
        lines.append(Text(f"wasted    {metrics.speculation_wasted} of {speculated} speculations"))
    return lines


def describe_overload(level: Level) -> str:
    """What is left out for lack of time."""
    match level:
        case "normal":
            return "nothing is left out"
        case "no_speculation":
            return "no speculation"
        case "no_partials":
            return "no speculation, no partials"
        case "waiting":
            return "behind, turns wait"


def video(state: VideoState) -> Text:
    """The video source, its rate and its losses."""
    if not state.on:
        return Text(f"{printable(state.source)} is off", "bold red")
    parts = [printable(state.source), f"{state.rate_hz:.1f}/s"]
    if state.dropped:
        parts.append(f"dropped {state.dropped}")
    if state.lost:
        parts.append(f"lost {state.lost} times")
    if state.live:
        parts.append(f"clocks {state.drift_ppm:+.0f} ppm")
    return Text(", ".join(parts), "red" if state.dropped else "")


def counters(screen: Screen, glyphs: Glyphs) -> Text:
    """The numbers of turns, or how the session ended."""
    view = screen.view
    if view.ended:
        return Text(outcome(view.ended), "bold red" if view.ended.outcome == "failed" else "bold")
    return Text(glyphs.dot.join([f"{view.judged} judged", f"{view.unsure} unsure", f"{view.skipped} skipped"]))


def models(screen: Screen) -> Lines:
    """The model of each part."""
    if not screen.view.started:
        return []
    every = screen.view.started.models.items()
    return [Text(f"{printable(part):<13}{printable(name)}", "dim") for part, name in every]
