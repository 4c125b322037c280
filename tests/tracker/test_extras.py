"""Without its extras: what they are for is refused in one line that names the extra, and the rest works."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.pictures.story import story, write_session
from tests.support import TOP
from tests.support.command import events_in, telephone, turns
from tracker.app.check import EXTRAS

_RUN_ALL = """
import contextlib, io, json, sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

absent, commands = json.loads(sys.argv[1])
sys.meta_path[:] = map(Without, sys.meta_path)
from tracker.__main__ import main
for command in commands:
    sys.argv, out, err, code = ["tracker", *command], io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""

REFUSED = {
    "run mic --set session.purpose=other": ("a microphone needs sounddevice", "mic"),
    "devices": ("a microphone needs sounddevice", "mic"),
    "run silence.wav --set video.source=0 --set session.purpose=other": ("video needs cv2", "video"),
    "run silence.wav --mqtt mqtt://localhost": ("publishing over MQTT needs aiomqtt", "mqtt"),
    "replay talk --mqtt mqtt://localhost": ("publishing over MQTT needs aiomqtt", "mqtt"),
    "watch mqtt://localhost": ("tracker watch needs aiomqtt", "mqtt"),
    "sessions flush --mqtt mqtt://localhost": ("publishing over MQTT needs aiomqtt", "mqtt"),
    "run silence.wav --mqtt off --set metrics.port=9000": ("metrics.port needs prometheus_client", "metrics"),
    "report talk --out page.html": ("tracker report needs matplotlib", "report"),
    "report talk --png page.png": ("tracker report needs matplotlib", "report"),
    "export talk --out table.parquet": ("--format parquet needs pyarrow", "export"),
    "train --data . --out adapter": ("tracker train needs sklearn", "train"),
    "evaluate --data .": ("tracker evaluate needs sklearn", "train"),
}


def run_without_extras(folder, *commands):
    """Exit code, standard output and standard error of commands where no extra is installed."""
    absent = {module for _, modules in EXTRAS.values() for module in modules} - {"jinja2"}  # which torch installs, too
    done = subprocess.run(
        [sys.executable, "-c", _RUN_ALL, json.dumps([sorted(absent), commands])],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(TOP), "XDG_STATE_HOME": str(folder / "state")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_command_that_lacks_its_extra_names_it(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000, np.float32), 16_000)
    write_session(tmp_path / "talk", story(1))
    ended = run_without_extras(tmp_path, *map(str.split, REFUSED))
    for (command, (said, extra)), (code, _, err) in zip(REFUSED.items(), ended, strict=True):
        assert code == (1 if extra == "train" else 2), command
        first, *rest = err.splitlines()
        assert first.startswith(f"error: {said}, which is not installed: pip install 'emotion-tracker[{extra}]'")
        assert not rest


@pytest.mark.models
def test_a_file_is_judged_without_any_extra(tmp_path):
    samples, rate = soundfile.read(telephone(), start=6 * 16_000, stop=12 * 16_000)
    soundfile.write(tmp_path / "call.flac", samples, rate)
    check, run = run_without_extras(tmp_path, ["check"], ["run", "call.flac", "--json", "--pace", "fast"])
    assert "for microphones: pip install 'emotion-tracker[mic]'" in check[1]
    code, out, err = run
    assert (code, bool(turns(events_in(out)))) == (0, True)
    assert err.startswith("nothing is published: publishing over MQTT needs aiomqtt, which is not installed: ")
