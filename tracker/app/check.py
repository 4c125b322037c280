"""``tracker check``: looks at everything that a session needs, and says what to do where it is missing; blocks."""

from __future__ import annotations

import json
import locale
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from adapters.contract import AdapterError
from tracker.config import Config, MqttConfig
from tracker.errors import AssetError, TrackerError, sentence_of
from tracker.sinks.text import printable

State = Literal["ok", "note", "missing"]

_GIB = 1 << 30
_LEAST_FREE = 2 * _GIB
_PACKAGES = ("torch", "transformers", "faster-whisper", "onnxruntime", "rich")

EXTRAS = {
    "mic": ("microphones", ("sounddevice",)),
    "video": ("cameras, and the pictures of files", ("cv2",)),
    "mqtt": ("publishing over MQTT, and tracker watch", ("aiomqtt", "amqtt")),
    "metrics": ("metrics.port", ("prometheus_client",)),
    "report": ("tracker report", ("matplotlib", "jinja2")),
    "export": ("tracker export --format parquet", ("pyarrow",)),
    "train": ("training and evaluation", ("sklearn", "matplotlib", "jiwer")),
}
"""What each extra is for, and the modules that it installs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        state: ``ok``; ``note`` where a session can do without; ``missing`` where it cannot.
        found: What was found.
        do: What to do; empty where nothing is to be done.
    """

    what: str
    state: State
    found: str
    do: str = ""


def examine(config: Config) -> list[Finding]:
    """Look at everything, in the order in which a session would need it."""
    looks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("versions", versions),
        ("adapters", package_adapters),
        ("extras", extras),
        ("models", lambda: models(config)),
        ("microphone", lambda: microphone(config.input.device)),
        ("pictures", lambda: pictures(config.video.source)),
        ("broker", lambda: broker(config)),
        ("outbox", lambda: outbox(config.mqtt)),
        ("sinks", lambda: sinks(config)),
        ("metrics", lambda: metrics(config.metrics.port)),
        ("terminal", terminal),
        ("disk", lambda: disk(Path.cwd())),
    ]
    findings: list[Finding] = []
    for what, look in looks:
        try:
            findings += look()
        except (TrackerError, AdapterError, OSError) as error:
            findings.append(Finding(what, "missing", sentence_of(error)))
    return findings


def versions() -> Iterator[Finding]:
    """Python, the tracker and what it runs on."""
    python = platform.python_version()
    yield Finding("python", "ok", f"{python} on {platform.system()} {platform.machine()}, {os.cpu_count()} processors")
    for name in ("emotion-tracker", *_PACKAGES):
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "missing", "not installed", "pip install emotion-tracker, which also installs this")


def package_adapters() -> Iterator[Finding]:
    """Whether another package that is imported as ``adapters`` is in the way, such as AdapterHub's."""
    others = {*packages_distributions().get("adapters", ())} - {"emotion-tracker"}
    if others:
        do = (
            f"use an environment for each, or pip uninstall {' '.join(sorted(others))} "
            "and install emotion-tracker again with --force-reinstall"
        )
        yield Finding("adapters", "missing", f"imported from another package, too: {', '.join(sorted(others))}", do)
    else:
        yield Finding("adapters", "ok", "no other package of this name")


def extras() -> Iterator[Finding]:
    """Which extras are installed."""
    for extra, (purpose, modules) in EXTRAS.items():
        if absent := [module for module in modules if not find_spec(module)]:
            do = f"for {purpose}: pip install 'emotion-tracker[{extra}]'"
            yield Finding(f"extra {extra}", "note", f"{', '.join(absent)} not installed", do)
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


def models(config: Config) -> Iterator[Finding]:
    """Whether every model lies undamaged in the cache, or where the settings say."""
    from tracker.app.models import needed_assets
    from tracker.assets.fetch import from_elsewhere
    from tracker.assets.store import Store

    if from_elsewhere(config.transcribe.model):
        yield _recogniser(config.transcribe.model)
    store = Store(config.assets.paths)
    always = needed_assets(config, faces=config.video.source not in ("", "auto"))
    for name in needed_assets(config, faces=True):
        chosen = Path(config.assets.paths.get(name, ""))
        if store.present(name) and (faults := store.verify(name)):
            yield Finding(f"model {name}", "missing", "; ".join(faults), f"tracker assets pull --again {name}")
        elif store.present(name):
            yield Finding(f"model {name}", "ok", "in the cache")
        elif name in config.assets.paths and chosen.is_dir() and any(chosen.iterdir()):
            yield Finding(f"model {name}", "ok", "where assets.paths says")
        else:
            state: State = "missing" if name in always else "note"
            yield Finding(f"model {name}", state, "not pulled yet", f"tracker assets pull {name}")


def _recogniser(model: str) -> Finding:
    from tracker.assets.fetch import on_hub, whisper_folder

    if on_hub(model):
        return Finding(f"model {model}", "note", "fetched from the hub, unless its cache has it")
    try:
        return Finding(f"model {model}", "ok", f"in {whisper_folder(model)}")
    except AssetError as error:
        return Finding(f"model {model}", "missing", str(error), "set transcribe.model to the folder of another one")


def microphone(wanted: str) -> Iterator[Finding]:
    """Whether there is one to listen to."""
    from tracker.sources.devices import find_device, list_devices

    try:
        devices = list_devices()
        if not devices:
            yield Finding("microphone", "note", "none", "connect one, or give tracker run a media file")
            return
        chosen = find_device(devices, wanted)
    except TrackerError as error:
        yield Finding("microphone", "note", sentence_of(error), "files and standard input can be listened to without")
        return
    yield Finding("microphone", "ok", f"{chosen.name}, {chosen.channels} channels, {chosen.default_rate_hz} Hz")


def pictures(source: str) -> Iterator[Finding]:
    """Whether pictures could be looked at, and whether the camera gives one."""
    from tracker.sources.camera import check_camera, opencv_capture
    from tracker.sources.opencv import load_opencv
    from tracker.sources.video import parse_camera

    try:
        cv2 = load_opencv()
        if source in ("", "auto"):
            yield Finding("pictures", "ok", f"OpenCV {cv2.__version__}; no camera is set (video.source)")
            return
        camera = parse_camera(source)
        check_camera(camera, opencv_capture(cv2))
    except TrackerError as error:
        do = "" if source in ("", "auto") else "a session with this video.source could not begin"
        yield Finding("pictures", "note" if not do else "missing", sentence_of(error), do)
        return
    yield Finding("pictures", "ok", f"{camera} gives pictures")


def broker(config: Config) -> Iterator[Finding]:
    """Whether the broker answers, or our own could listen."""
    from tracker.app.mqtt import external

    mqtt = config.mqtt
    if not mqtt.enabled:
        yield Finding("broker", "note", "publishing is off (mqtt.enabled)")
        return
    if not find_spec("aiomqtt"):
        state: State = "missing" if mqtt.url else "note"
        yield Finding("broker", state, "nothing is published without the extra mqtt")
        return
    if address := external(mqtt):
        try:
            socket.create_connection((address.host, address.port), timeout=5).close()
        except OSError as error:
            do = "start it, or correct mqtt.url; a session runs all the same and keeps what it could not deliver"
            yield Finding("broker", "note", f"{address} cannot be reached ({error.strerror or error})", do)
        else:
            yield Finding("broker", "ok", f"{address} answers")
        return
    if _free(mqtt.port):
        yield Finding("broker", "ok", f"our own can listen on 127.0.0.1:{mqtt.port}")
    else:
        do = "set mqtt.port to another one (0: any free one), or mqtt.url to the broker that has it"
        yield Finding("broker", "missing", f"port {mqtt.port} is taken, so our own broker cannot listen", do)


def outbox(mqtt: MqttConfig) -> Iterator[Finding]:
    """Whether what is still to be delivered can be kept on the disk."""
    if mqtt.enabled and mqtt.outbox_mb and find_spec("aiomqtt"):
        from tracker.app.mqtt import check_outbox

        yield Finding("outbox", "ok", f"{check_outbox(mqtt)} can be written")


def sinks(config: Config) -> Iterator[Finding]:
    """Whether the sinks of the settings can be made."""
    from tracker.app import plugins

    for sink in plugins.sinks(config.sinks):
        yield Finding(f"sink {sink.name}", "ok", "its settings are in order")


def metrics(port: int) -> Iterator[Finding]:
    """Whether the metrics can be served."""
    if port and not _free(port):
        do = "set metrics.port to another one, or 0 for none"
        yield Finding("metrics", "missing", f"port {port} is taken, so metrics cannot be served", do)


def _free(port: int) -> bool:
    """Whether this machine's own programs could be served at a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def terminal() -> Iterator[Finding]:
    """What the dashboard would be drawn on."""
    console = Console()
    encoding = locale.getencoding()
    if not console.is_terminal or console.is_dumb_terminal:
        yield Finding("terminal", "note", "no terminal here: turns are shown as plain lines")
        return
    colours = "no colours (NO_COLOR)" if console.no_color else f"{console.color_system or 'no'} colours"
    size = f"{console.size.width}x{console.size.height}"
    small = console.size.width < 80 or console.size.height < 24
    signs = "ASCII only" if console.options.ascii_only else encoding
    yield Finding(
        "terminal",
        "note" if small else "ok",
        f"{size}, {colours}, {signs}",
        "make it 80x24 or larger to see everything" if small else "",
    )
    if not sys.stdin.isatty():
        yield Finding("keys", "note", "standard input is no terminal: no keys are read")


def disk(folder: Path) -> Iterator[Finding]:
    """Room for models and sessions."""
    from adapters.contract import asset_folder

    places = {"disk of this folder": folder, "disk of the cache": asset_folder("x").parent}
    for what, place in places.items():
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        state: State = "ok" if free > _LEAST_FREE else "note"
        yield Finding(what, state, f"{free / _GIB:.1f} GiB free", "" if state == "ok" else "make room: 2 GiB is wanted")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding("this folder", "note", f"cannot be written ({error.strerror})", "record into another folder")


def show(findings: list[Finding], console: Console) -> None:
    """Print a line for each finding; the sign says the same as the colour."""
    signs = {"ok": ("ok     ", "green"), "note": ("note   ", "yellow"), "missing": ("MISSING", "bold red")}
    for finding in findings:
        sign, style = signs[finding.state]
        line = Text.assemble((sign, style), f" {finding.what}: {printable(finding.found)}")
        if finding.do:
            line.append(f"\n        to do: {printable(finding.do)}", "bold")
        console.print(line, soft_wrap=True, highlight=False)


def to_json(findings: list[Finding]) -> str:
    """The findings as a JSON document."""
    usable = not any(finding.state == "missing" for finding in findings)
    return json.dumps({"usable": usable, "findings": [asdict(finding) for finding in findings]}, indent=2)
