"""README and docs say what the code does, and the check finds what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import docs_check
from tests.support.docs_check import ROOT, faults_of, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_in_order(page: Path):
    assert faults_of(page) == []


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in pages()[1:] if page.name != "README.md" and f"({page.name})" not in index] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](nowhere.md)", "leads nowhere"),
        ("[a](#nothing)\n\n# Something", "no heading"),
        ("```\nhello\n```", "names no language"),
        ("    hello", "use a fence"),
        ("```sh\ntracker fly\n```", "fly"),
        ("```sh\ntracker run call.wav --fast\n```", "--fast"),
        ("```sh\ntracker bench call.wav --runs many | jq .\n```", "many"),
        ("```sh\ntracker export\n```", "Missing argument"),
        ("`tracker sessions burn`", "burn"),
        ("```sh\ncd x && make everything\n```", "no target everything"),
        ("```sh\npython -m adapters.nothing\n```", "no such program"),
        ("`turns.pause`", "no setting turns.pause"),
        ("```sh\ntracker run x --set turns.pause=1\n```", "no setting turns.pause"),
        ("`TRACKER_TURNS__PAUSE=1`", "no setting turns.pause"),
        ("```toml\n[turns]\npause = 1\n```", "no setting turns.pause"),
        ("```python\nasync with\n```", "begins with"),
        ("```json\n{\n```", "begins with"),
        ('```json\n{"type": "turn.ended"}\n```', "begins with"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, text: str, fault: str):
    page = tmp_path / "page.md"
    page.write_text(text)
    (found,) = faults_of(page)
    assert fault in found


@pytest.mark.parametrize(
    "text",
    [
        "[a](#something-else)\n\n# Something, *else*?",
        "`session.started`, `video.mkv`, `session.pause()`, `turns.pause_ms = 200`, `tracker export`",
        "```sh\nffmpeg -i x - | tracker run - --set turns.pause_ms=200 > out 2>&1 && make test\n```",
        "```python\nawait source.finish()\n```",
        "```toml\n[sinks.mine]\nanything = 1\n```",
    ],
)
def test_what_is_right_is_not_complained_about(tmp_path: Path, text: str):
    page = tmp_path / "page.md"
    page.write_text(text)
    assert faults_of(page) == []


def test_the_table_of_fields_names_every_event():
    table = docs_check.fields()
    assert all(f"### `{kind}`" in table for kind in ("session.started", "turn.ended", "session.ended"))
