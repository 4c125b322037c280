import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, sys, threading
from tracker.runtime.memory import share_heaps

if sys.argv[2] == "shared":
    share_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
ready = threading.Barrier(7)

def take():
    libc.malloc(1000)
    ready.wait()

threads = [threading.Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
ready.wait()
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps(report: Path, how: str, **environment: str) -> int:
    command = [sys.executable, "-c", PROGRAM, str(report), how]
    subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin", **environment})
    return len(re.findall("<heap nr", report.read_text()))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="counts the heaps of glibc")
def test_threads_share_two_heaps_unless_the_environment_says_otherwise(tmp_path):
    report = tmp_path / "heaps.xml"
    assert heaps(report, "each its own") > 2
    assert heaps(report, "shared") == 2
    assert heaps(report, "shared", MALLOC_ARENA_MAX="1") == 1
