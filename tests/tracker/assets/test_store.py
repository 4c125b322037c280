import hashlib
import threading
import zipfile

import pytest
from typer.testing import CliRunner

from tracker.assets import convert
from tracker.assets.fetch import FetchError, FromWheel, from_hub, sha256
from tracker.assets.manifest import Asset, Manifest, Wheel, load_manifest
from tracker.assets.store import Found, Record, Store, faults_in
from tracker.cli import assets
from tracker.errors import AssetError

CONTENT = b"weights " * 1000


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def asset(content: bytes = CONTENT, **changes) -> Asset:
    file = {"name": "model.bin", "member": "toy/model.bin", "size": len(content), "sha256": digest(content)}
    return Asset(**{"version": "1", "use": "tests", "licence": "MIT", "wheel": "toy", "files": (file,), **changes})


def manifest(wheel: Wheel | None = None, **assets: Asset) -> Manifest:
    wheel = wheel or Wheel(version="1.0", name="toy-1.0-py3-none-any.whl", size=1, sha256="0" * 64)
    return Manifest(wheels={"toy": wheel}, assets=assets or {"toy": asset()})


class Gives:
    """A source that gives a content (or fails), and counts how often it was asked."""

    def __init__(self, content: bytes | None = CONTENT) -> None:
        self.content = content
        self.asked = 0

    def __call__(self, asset, into, progress) -> None:
        self.asked += 1
        if self.content is None:
            raise FetchError("out of reach")
        (into / "model.bin").write_bytes(self.content)
        progress(len(self.content), len(self.content))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_manifest_is_well_formed():
    real = load_manifest()
    assert set(real.assets) >= {"whisper-tiny.en", "smollm2-135m-instruct", "campplus-zh-en", "telephone-sample"}
    for asset in real.assets.values():
        assert asset.wheel in real.wheels
        assert asset.licence
        assert asset.cached
        assert (asset.convert == "none") == (not asset.converted)
    with pytest.raises(AssetError, match="there is no asset 'gpt'"):
        real.asset("gpt")


def test_what_is_wrong_with_a_folder():
    one, right = asset(), Found(len(CONTENT), digest(CONTENT))
    record = Record(version="1", licence="MIT", files={"model.bin": digest(CONTENT), "made.json": "a" * 64})
    whole = {"model.bin": right, "made.json": Found(2, "a" * 64)}
    assert faults_in(one, record, whole) == []
    assert faults_in(one, record, {name: Found(found.size) for name, found in whole.items()}) == []
    assert faults_in(one, None, whole) == faults_in(asset(version="2"), record, whole) == ["not in the cache"]
    assert faults_in(one, record, {"model.bin": right}) == ["made.json is missing"]
    assert faults_in(one, record, whole | {"model.bin": Found(9)}) == [
        f"model.bin has 9 bytes instead of {len(CONTENT)}"
    ]
    assert faults_in(one, record, whole | {"made.json": Found(2, "b" * 64)}) == [
        f"made.json has SHA-256 {'b' * 64} instead of {'a' * 64}"
    ]
    # What the folder says of itself does not excuse a file that the manifest knows better.
    forged = record.model_copy(update={"files": {"model.bin": "c" * 64}})
    assert faults_in(one, forged, {"model.bin": Found(len(CONTENT), "c" * 64)}) == [
        f"model.bin has SHA-256 {'c' * 64} instead of {digest(CONTENT)}"
    ]


def test_what_is_cached_is_not_fetched_again():
    gives = Gives()
    store = Store(manifest=manifest(), fetchers=[gives])
    for _ in range(3):
        assert (store.folder("toy") / "model.bin").read_bytes() == CONTENT
    assert gives.asked == 1
    assert store.present("toy")
    assert store.verify("toy") == []


def test_sources_are_tried_in_order():
    no, wrong, good, never = Gives(None), Gives(b"other"), Gives(), Gives()
    Store(manifest=manifest(), fetchers=[no, wrong, good, never]).folder("toy")
    assert (no.asked, wrong.asked, good.asked, never.asked) == (1, 1, 1, 0)


def test_a_wrong_file_is_refused_by_name_and_hash(cache):
    forged = CONTENT[:-1] + b"!"
    store = Store(manifest=manifest(), fetchers=[Gives(forged)])
    with pytest.raises(AssetError, match=f"model.bin has SHA-256 {digest(forged)} .* instead of {digest(CONTENT)}"):
        store.folder("toy")
    assert not store.present("toy")
    assert {path.name for path in (cache / "assets").iterdir()} <= {".lock"}


def test_with_nothing_reachable_one_sentence_says_what_to_do():
    store = Store(manifest=manifest(), fetchers=[Gives(None)])
    with pytest.raises(AssetError, match=r"out of reach\. Connect .* tracker assets pull") as caught:
        store.folder("toy")
    assert "\n" not in str(caught.value)


def test_a_file_that_rots_in_the_cache_is_found(cache):
    store = Store(manifest=manifest(), fetchers=[Gives()])
    path = store.folder("toy") / "model.bin"
    path.write_bytes(b"rot" + CONTENT[3:])
    (fault,) = store.verify("toy")
    assert "toy: model.bin has SHA-256" in fault
    with pytest.raises(AssetError, match=r"toy: model.bin has .* To mend it: tracker assets pull --again toy$"):
        store.verified("toy")
    assert store.folder("toy", again=True)
    assert store.verify("toy") == []


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"half")])
def test_a_file_that_is_missing_or_cut_short_is_pulled_anew(spoil):
    store = Store(manifest=manifest(), fetchers=[Gives()])
    spoil(store.folder("toy") / "model.bin")
    assert not store.present("toy")
    store.folder("toy")
    assert store.verify("toy") == []


def test_what_a_killed_process_left_is_cleared_away(cache):
    left = cache / "assets" / ".building-killed" / "new"
    left.mkdir(parents=True)
    (left / "model.bin").write_bytes(CONTENT)
    Store(manifest=manifest(), fetchers=[Gives()]).folder("toy")
    assert {path.name for path in (cache / "assets").iterdir()} == {"toy", ".lock"}


def test_a_cache_that_cannot_be_written_is_a_sentence(cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(AssetError, match=r"toy cannot be stored in .*cache: "):
        Store(manifest=manifest(), fetchers=[Gives()]).folder("toy")


def test_a_conversion_with_another_result_is_refused(monkeypatch):
    def convert(_, folder):
        (folder / "model.safetensors").write_bytes(b"something else")

    monkeypatch.setattr("tracker.assets.store.convert", convert)
    expected = {"name": "model.safetensors", "size": 3, "sha256": digest(b"abc")}
    converted = manifest(toy=asset(convert="torch", converted=(expected,)))
    with pytest.raises(AssetError, match=r"toy was converted to something else .*model\.safetensors has SHA-256"):
        Store(manifest=converted, fetchers=[Gives()]).folder("toy")


def test_another_version_is_fetched_anew():
    gives = Gives()
    Store(manifest=manifest(), fetchers=[gives]).folder("toy")
    newer = Store(manifest=manifest(toy=asset(version="2")), fetchers=[gives])
    assert not newer.present("toy")
    newer.folder("toy")
    assert gives.asked == 2


def test_pulling_at_once_fetches_once():
    entered, go_on = threading.Event(), threading.Event()

    class Slow(Gives):
        def __call__(self, asset, into, progress) -> None:
            entered.set()
            assert go_on.wait(10)
            super().__call__(asset, into, progress)

    slow = Slow()
    store = Store(manifest=manifest(), fetchers=[slow])
    threads = [threading.Thread(target=store.folder, args=["toy"]) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert slow.asked == 1


def test_a_local_folder_is_the_only_source_and_must_be_right(tmp_path):
    never = Gives()
    local = tmp_path / "mine"
    local.mkdir()
    store = Store({"toy": str(local)}, manifest(), [never])
    with pytest.raises(AssetError, match=r"assets\.paths .* toy .*mine has no model\.bin"):
        store.folder("toy")
    (local / "model.bin").write_bytes(b"my own")
    with pytest.raises(AssetError, match=f"{digest(b'my own')} .* instead of {digest(CONTENT)}"):
        store.folder("toy")
    (local / "model.bin").write_bytes(CONTENT)
    assert (store.folder("toy") / "model.bin").read_bytes() == CONTENT
    assert never.asked == 0


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "toy-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/model.bin", CONTENT)
        archive.writestr("../evil", b"never unpacked")
    return path, Wheel(version="1.0", name=path.name, size=path.stat().st_size, sha256=sha256(path))


def test_a_wheel_is_downloaded_for_its_own_platform_and_unpacked(tmp_path, wheel):
    path, pinned = wheel
    asked: list[list[str]] = []

    def pip(arguments, progress):
        asked.append(arguments)
        (tmp_path / "down" / path.name).write_bytes(path.read_bytes())
        progress(1, 2)
        return 0, ""

    fetch = FromWheel("toy", pinned, tmp_path / "down", pip)
    into = tmp_path / "into"
    into.mkdir()
    fetch(asset(), into, lambda *_: None)
    fetch(asset(), into, lambda *_: None)  # the wheel is there already
    assert len(asked) == 1
    assert {"--no-deps", "--platform=manylinux_2_28_x86_64", "--python-version=3.11", "toy==1.0"} <= set(asked[0])
    assert [file.name for file in into.iterdir()] == ["model.bin"]
    assert not (tmp_path / "evil").exists()


def test_a_wheel_that_was_exchanged_is_refused(tmp_path, wheel):
    path, pinned = wheel
    (tmp_path / "down").mkdir()
    (tmp_path / "down" / path.name).write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(FetchError, match="instead of"):
        FromWheel("toy", pinned, tmp_path / "down", lambda *_: (1, ""))(asset(), tmp_path, lambda *_: None)
    assert list((tmp_path / "down").iterdir()) == []


def test_a_wheel_stays_until_all_its_assets_are_unpacked(cache, tmp_path, wheel, monkeypatch):
    path, pinned = wheel
    downloads = cache / "downloads"
    asked = []

    def pip(arguments, progress):
        asked.append(arguments)
        (downloads / path.name).write_bytes(path.read_bytes())
        return 0, ""

    monkeypatch.setattr("tracker.assets.fetch._run_pip", pip)
    store = Store(manifest=manifest(pinned, one=asset(), two=asset()))
    store.folder("one")
    assert [path.name for path in downloads.iterdir()] == [pinned.name]
    store.folder("two")
    assert list(downloads.iterdir()) == []
    assert len(asked) == 1


def test_pip_that_fails_says_why(tmp_path, wheel):
    fetch = FromWheel("toy", wheel[1], tmp_path / "down", lambda *_: (1, "ERROR: no matching distribution"))
    with pytest.raises(FetchError, match=r"pip could not download toy 1\.0 \(ERROR: no matching"):
        fetch(asset(), tmp_path, lambda *_: None)


def test_the_hub_is_not_asked_for_what_it_does_not_have(tmp_path):
    with pytest.raises(FetchError, match="no repository"):
        from_hub(asset(), tmp_path, lambda *_: None)


def test_a_pickled_state_dict_becomes_safetensors_and_anything_else_is_refused(tmp_path):
    import torch
    from safetensors.torch import load_file

    torch.save({"state_dict": {"weight": torch.arange(6.0).reshape(2, 3)}}, tmp_path / "model.pt")
    convert.convert("torch", tmp_path)
    assert [path.name for path in tmp_path.glob("model*")] == ["model.safetensors"]
    assert load_file(tmp_path / "model.safetensors")["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    torch.save({"weight": Store}, tmp_path / "evil.pt")
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        convert.convert("torch", tmp_path)


class TestCommands:
    @pytest.fixture(autouse=True)
    def toy(self, monkeypatch):
        monkeypatch.setattr("tracker.cli.assets.load_manifest", manifest)
        monkeypatch.setattr("tracker.cli.assets._store", lambda: Store(manifest=manifest(), fetchers=[Gives()]))

    def said(self, *arguments) -> str:
        result = CliRunner().invoke(assets.app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    def test_pull_says_what_came_and_what_need_not_come(self):
        assert self.said("pull") == "pulled toy, 0.0 MB, MIT\n"
        assert "nothing to pull, all are in" in self.said("pull", "toy")
        assert self.said("pull", "--again") == "pulled toy, 0.0 MB, MIT\n"

    def test_list_says_what_is_cached(self):
        assert "toy" in self.said("list")
        assert " no " in self.said("list")
        self.said("pull")
        assert " yes " in self.said("list")

    def test_verify_names_what_is_wrong_and_how_to_mend_it(self, cache):
        with pytest.raises(AssetError, match=r"toy: not in the cache\. To mend it: tracker assets pull --again toy"):
            self.said("verify")
        self.said("pull")
        assert "every file is what it should be" in self.said("verify")
        (cache / "assets" / "toy" / "model.bin").write_bytes(b"rot")
        with pytest.raises(AssetError, match=r"model\.bin has SHA-256 .* instead of"):
            self.said("verify", "toy")


def test_keras_weights_are_kept_as_they_lie(tmp_path):
    import h5py
    import numpy as np
    from safetensors.numpy import load_file

    kernel = np.arange(18, dtype=np.float32).reshape(3, 3, 1, 2)
    with h5py.File(tmp_path / "model.hdf5", "w") as file:
        file["model_weights/conv2d_1/conv2d_1_1/kernel:0"] = kernel
        file["optimizer_weights/step"] = 3
    convert.convert("keras", tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.safetensors"]
    weights = load_file(tmp_path / "model.safetensors")
    assert list(weights) == ["conv2d_1.kernel"]
    np.testing.assert_array_equal(weights["conv2d_1.kernel"], kernel)
