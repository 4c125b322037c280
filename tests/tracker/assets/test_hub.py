"""The hub's own client, against a hub on loopback."""

import hashlib

import pytest
from huggingface_hub import close_session

from tests.support.hub import REVISION, serve_hub
from tracker.assets.fetch import FetchError, from_hub
from tracker.assets.manifest import Asset

PATH = "/{repo_id}/resolve/{revision}/{filename}"
FILES = {"config.json": b"{}", "model.bin": bytes(range(256)) * 400}


def asset(files: dict[str, bytes] = FILES) -> Asset:
    listed = tuple(
        {"name": name, "member": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    )
    hub = {"repository": "toys/toy", "revision": REVISION}
    return Asset.model_validate(
        {"version": "1", "use": "tests", "licence": "MIT", "wheels": ["toy"], "hub": hub, "files": listed}
    )


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serve_hub({"toys/toy": FILES}) as served:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", served.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", served.url + PATH)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
        yield served
        close_session()


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def test_files_come_with_progress_and_the_second_time_from_the_cache_without_asking(hub, into):
    told = []
    from_hub(asset(), into, lambda arrived, total: told.append((arrived, total)))
    assert {path.name: path.read_bytes() for path in into.iterdir()} == FILES
    size = asset().size
    assert told == sorted(told)
    assert len(told) > 5
    assert told[-1] == (size, size)
    hub.requests.clear()
    from_hub(asset(), into, lambda *_: None)
    assert hub.requests == []


def test_a_download_goes_on_where_the_connection_broke(hub, into, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.breaks_after = 35_000
    told = []
    from_hub(asset(), into, lambda arrived, _: told.append(arrived))
    assert (into / "model.bin").read_bytes() == FILES["model.bin"]
    first, second = [start for method, name, start in hub.requests if (method, name) == ("GET", "model.bin")]
    assert first == 0
    assert second >= 30_000
    assert told == sorted(told)
    assert told[-1] == asset().size


def test_another_file_than_the_pinned_one_is_refused(hub, into):
    with pytest.raises(FetchError, match=r"model\.bin has SHA-256 .* instead of"):
        from_hub(asset({**FILES, "model.bin": b"another"}), into, lambda *_: None)


def test_a_file_that_the_hub_lacks_is_no_crash(hub, into):
    with pytest.raises(FetchError, match=r"the Hugging Face hub did not give tokenizer\.json"):
        from_hub(asset({**FILES, "tokenizer.json": b"{}"}), into, lambda *_: None)
