"""The programs in README and docs run as they stand."""

import os
import re
import subprocess
import sys

import pytest
import soundfile

from tests.support import TOP
from tests.support.command import telephone

_FENCE = re.compile(r"^```python run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
PROGRAMS = {code: f"{page.stem}-{n}" for page in _PAGES for n, code in enumerate(_FENCE.findall(page.read_text()), 1)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader would try them: with short recordings of these names."""
    samples, rate = soundfile.read(telephone(), stop=12 * 16_000, start=6 * 16_000)
    folder = tmp_path_factory.mktemp("docs")
    for name in ("call", "a", "b"):
        soundfile.write(folder / f"{name}.wav", samples, rate)
    return folder


@pytest.mark.models
@pytest.mark.parametrize("code", PROGRAMS, ids=PROGRAMS.values())
def test_a_program_of_the_docs_runs(code, folder):
    environment = os.environ | {"PYTHONPATH": str(TOP)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_the_plug_ins_of_the_docs_are_those_that_the_tests_install():
    page, package = (TOP / "docs" / "extending.md").read_text(), TOP / "tests" / "support" / "example_plugin"
    for file in (package / "emotion_tracker_example").glob("[!_]*.py"):
        assert f"```python\n{file.read_text()}```" in page, f"docs/extending.md differs from {file.name}"
    table = (package / "pyproject.toml").read_text()
    entry_points = table[table.index("[project.entry-points") : table.index("[tool.")]
    assert f"```toml\n{entry_points.strip()}\n```" in page
