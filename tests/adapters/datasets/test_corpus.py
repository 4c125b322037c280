"""The registry of data sets: the project's own, those of other packages, and what may be wrong with them."""

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets import corpus
from adapters.datasets.corpus import Corpus, entries, find, find_kind
from adapters.datasets.records import Clips, Dialogues, Line
from adapters.errors import AdapterError
from tests.support.program import adapters

NAMES = {
    *("meld", "emorynlp", "iemocap", "emodb", "nemo", "ravdess", "urdu", "neutral-talk", "fer2013"),
    *("meld-processed", "cherma", "mosei", "sims-v2", "emobank"),
    "goemotions",
    "xed",
    "dailydialog",
    "emocontext",
    "plain-sentences",
    "ferplus",
}
GOOD = """
from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.corpus import Corpus
from adapters.datasets.records import Dialogues, Line

def load(folder, split):
    return Dialogues(((Line(Utterance("Ann", (folder / f"{split}.txt").read_text()), 4),),))

CORPUS = Corpus("diary", "My diary", "CC0", Dialogues, MELD_LABELS, {"train": "", "dev": ""}, load)
"""


def install(folder: Path, package: str, code: str, *names: str) -> None:
    """A package that registers data sets, as pip leaves it."""
    (folder / f"{package}.py").write_text(code, "utf-8")
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
    listed = "".join(f"{name} = {package}:CORPUS\n" for name in names)
    (metadata / "entry_points.txt").write_text(f"[emotion_tracker.corpora]\n{listed}", "utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def test_the_projects_own_are_known() -> None:
    assert set(entries()) >= NAMES
    assert all(find(name).name == name for name in NAMES)


def test_each_file_opens_with_what_its_corpus_says() -> None:
    for name in NAMES:
        (entry,) = entries()[name]
        text = " ".join((import_module(entry.module).__doc__ or "").split())
        one = find(name)
        assert all(licence in text for licence in one.licence.replace(",", ";").split("; ")), name
        assert all(f"``{split}``" in text or f"{split}_" in text or f"{{{split}" in text for split in one.splits), name


def test_they_are_listed() -> None:
    lines = adapters("corpora").stdout.splitlines()
    assert {line.partition(":")[0] for line in lines} >= NAMES
    (line,) = [line for line in lines if line.startswith("emorynlp: ")]
    assert line.startswith("emorynlp: dialogues; Apache-2.0; labels neutral, joyful, peaceful")
    assert line.endswith("splits train, dev, test")


def test_without_metadata_the_projects_own_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "entry_points", lambda group: ())
    assert set(entries()) == NAMES
    assert find("meld").labels == MELD_LABELS


def test_another_package_adds_one(site: Path) -> None:
    install(site, "diary_set", GOOD, "diary")
    (site / "dev.txt").write_text("I won!", "utf-8")
    (turn,) = find_kind("diary", Dialogues).read(site, "dev").dialogues[0]
    assert turn.utterance == Utterance("Ann", "I won!")
    assert "diary: dialogues; CC0" in adapters("corpora").stdout


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nowhere_to_be_found", "the data set 'diary' of broken_set fails: ModuleNotFoundError"),
        ("CORPUS = 1 / 0", "the data set 'diary' of broken_set fails: ZeroDivisionError"),
        ("CORPUS = 'diary'", "the data set 'diary' of broken_set is a str, not a Corpus"),
    ],
)
def test_one_that_fails_is_named_and_the_others_are_listed(site: Path, code: str, message: str) -> None:
    install(site, "broken_set", code, "diary")
    with pytest.raises(AdapterError, match=message):
        find("diary")
    result = adapters("corpora")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) >= len(NAMES)
    (line,) = result.stderr.splitlines()
    assert message in line


def test_a_name_that_two_packages_use_is_refused(site: Path) -> None:
    install(site, "diary_set", GOOD, "diary")
    install(site, "other_set", GOOD, "diary")
    with pytest.raises(AdapterError, match="'diary' is provided by diary_set, other_set: uninstall all but one"):
        find("diary")


def test_an_unknown_one_and_one_of_another_kind() -> None:
    with pytest.raises(AdapterError, match="unknown data set 'mled': take cherma, dailydialog, emobank"):
        find("mled")
    with pytest.raises(AdapterError, match="clips are wanted, but the data set 'meld' holds dialogues"):
        find_kind("meld", Clips)


def one_of(found: object) -> Corpus[Dialogues]:
    def load(folder: Path, split: str) -> Dialogues:
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[return-value]

    return Corpus("diary", "My diary", "CC0", Dialogues, MELD_LABELS, {"train": ""}, load)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (OSError("gone"), "the data set 'diary' fails on .*: OSError: gone"),
        (AdapterError("no table"), "^no table$"),
        (None, "TypeError: load returned a NoneType, not Dialogues"),
        (Dialogues(((Line(Utterance("Ann", "Hi."), 7),),)), "ValueError: 7 is not the id of a label"),
        (Dialogues((), Counter({"no words": 2})), r"diary train: nothing to use in .*; refused: {'no words': 2}"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, found: object, message: str) -> None:
    with pytest.raises(AdapterError, match=message):
        one_of(found).read(tmp_path, "train")
