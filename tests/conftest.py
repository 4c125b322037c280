"""Fixtures that all tests share, and the rule that CI skips nothing that it was told to require."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes depends on what else the machine does.
settings.register_profile("tracker", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tracker")

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, also for what the tests start

_BESIDE = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Recordings and corpora that are not part of the project: ``$EMOTION_TRACKER_DATA``, or beside the checkout."""
    folder = Path(os.environ.get("EMOTION_TRACKER_DATA", _BESIDE))
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}: set EMOTION_TRACKER_DATA")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A skip is a failure where $EMOTION_TRACKER_REQUIRE names one of the test's marks (``models,broker,...``)."""
    report = yield
    required = set(filter(None, os.environ.get("EMOTION_TRACKER_REQUIRE", "").split(",")))
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and required & {mark.name for mark in item.iter_markers()}:
        report.outcome = "failed"
        report.longrepr = f"skipped although required: {report.longrepr}"
    return report
