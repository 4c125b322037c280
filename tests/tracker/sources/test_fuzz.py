"""Damaged media: whatever a file holds, it costs one line, and neither memory nor time without end."""

import subprocess
import sys

from tests.support import TOP

SEEDS = ("1", "8")


def test_damaged_media_cost_one_line_each(tmp_path):
    """Thirteen files, eight mutations each, through all that opens media (see `tests.support.fuzz_media`)."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.support.fuzz_media", str(tmp_path), *SEEDS]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=300)
    last = tmp_path / "last"
    assert (done.returncode, done.stdout) == (0, ""), (
        f"after {last.read_text() if last.exists() else 'nothing'}: {done.stderr[-3000:]}"
    )
    assert last.read_text() == "a.ts seed 8"
