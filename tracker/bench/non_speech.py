"""Ten minutes in which nobody says a word: ``python -m tracker.bench.non_speech OUT --data DATA``.

Writes sounds that are not speech into OUT: noises, tones, a telephone's ringing and keys, plucked strings, keystrokes,
applause; and of DATA/nonverbal coughs, laughs, cries, sighs and the like. What ``tracker run OUT/*.wav --json`` prints
then must hold no words.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer
from jaxtyping import Float32

RATE_HZ = 16_000
PART_S = 40
KINDS = ("coughing", "crying", "laughing", "moaning", "panting", "screaming", "sighing", "throat-clearing", "yawning")

Samples = Float32[np.ndarray, " samples"]


def made() -> Iterator[tuple[str, Samples]]:
    """Each sound that can be computed, by name; the same at every call."""
    rng = np.random.default_rng(0)
    t = np.arange(PART_S * RATE_HZ) / RATE_HZ
    white = rng.standard_normal(len(t))
    brown = np.cumsum(white)
    brown -= np.convolve(brown, np.ones(1600) / 1600, "same")

    def tones(*hz: float) -> np.ndarray:
        return np.asarray(sum(np.sin(2 * np.pi * one * t) for one in hz) / len(hz))

    def pulsed(period_s: float, decay_s: float) -> np.ndarray:
        return np.exp(-(t % period_s) / decay_s)

    keys = np.where((t * 2.5 % 1) < 0.5, tones(697, 1209), 0)
    keys[len(t) // 2 :] = np.where((t * 2.5 % 1) < 0.5, tones(852, 1477), 0)[len(t) // 2 :]
    notes = np.choose((t * 2).astype(int) % 4, [np.sin(2 * np.pi * hz * t) for hz in (261.6, 329.6, 392.0, 523.3)])
    sounds = {
        "white": 0.1 * white,
        "brown": 0.3 * brown / np.abs(brown).max(),
        "hum": 0.3 * tones(50, 100, 150),
        "ringing": 0.3 * tones(425, 450) * (t % 5 < 1),
        "keys": 0.3 * keys,
        "strings": 0.5 * notes * pulsed(0.5, 0.15),
        "chords": 0.3 * tones(261.6, 329.6, 392.0) * (1 + 0.4 * np.sin(2 * np.pi * 5 * t)),
        "typing": 0.4 * white * pulsed(0.15, 0.01),
        "applause": 0.2 * white * (1 + np.sin(2 * np.pi * 13 * t)),
        "sweep": 0.3 * np.sin(2 * np.pi * (200 + 35 * t) * t),
    }
    for name, samples in sounds.items():
        yield name, samples.clip(-1, 1).astype(np.float32)


def voices(folder: Path) -> Iterator[tuple[str, Samples]]:
    """Sounds of people, each kind with pauses between its clips, `PART_S` seconds at most."""
    for kind in KINDS:
        parts: list[Samples] = []
        for path in sorted((folder / kind).rglob("*.flac")):
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            parts += [soxr.resample(samples.mean(1), rate, RATE_HZ), np.zeros(RATE_HZ * 3 // 4, np.float32)]
            if sum(map(len, parts)) > PART_S * RATE_HZ:
                break
        if parts:
            yield kind, np.concatenate(parts)[: PART_S * RATE_HZ]


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the sounds.")],
    data: Annotated[Path | None, typer.Option(help="Folder with one folder per data set.")] = None,
) -> None:
    """Write them."""
    out.mkdir(parents=True, exist_ok=True)
    seconds = 0.0
    for name, samples in [*made(), *(voices(data / "nonverbal") if data else ())]:
        soundfile.write(out / f"{name}.wav", samples, RATE_HZ)
        seconds += len(samples) / RATE_HZ
    typer.echo(f"{seconds / 60:.1f} minutes")


if __name__ == "__main__":
    typer.run(main)
