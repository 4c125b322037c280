"""The published method on a tiny transformer, and on small files in the authors' formats."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import Result

from adapters.contract import Utterance
from adapters.datasets.processed import file_of
from adapters.errors import AdapterError
from adapters.llm.backbone import digest
from adapters.mse.adapter import MseAdapter, MseShape
from adapters.mse.encoders import SequenceShape
from adapters.mse.llm import MseLlm
from adapters.mse.tasks import TASKS, Task
from adapters.published.checkpoint import CARD, WEIGHTS
from adapters.published.data import load
from adapters.published.fit import Fit, epoch_of, fit, predict
from adapters.published.inputs import FRAMES, Turn, batch_of, text_of
from adapters.published.model import FrozenLlm, fresh, load_llm, shape_for
from adapters.published.sets import SETS
from adapters.published.train import fit_of
from tests.support.program import adapters
from tests.support.tiny import WIDTH, write_backbone

SAID = ("I am so glad!", "No.", "This is awful.", "Well.", "Leave me alone!", "Hm.", "Good.")
NAMES = {"meld": ("joy", "neutral"), "cherma": ("高兴", "平静")}
VALUES = {"mosei": (1.7, -2.0), "sims-v2": (0.66, -0.4)}


def write_set(folder: Path, name: str, widths: tuple[int, int] = (5, 3)) -> Path:
    """Train, valid and test of one of the paper's sets, as the authors' files have them; the last row is unusable."""
    noise = np.random.default_rng(0)
    frames = [noise.normal(size=(len(SAID), 4, width)).astype(np.float32) for width in widths]
    lengths = [1 + row % 4 for row in range(len(SAID))]
    lengths[-1] = 0
    folder.mkdir(parents=True, exist_ok=True)
    if name in NAMES:
        rows = [
            {
                "features": {
                    "text": text,
                    "audio": frames[0][row],
                    "audio_len": lengths[row],
                    "video": frames[1][row],
                    "video_len": 4,
                },
                "label": NAMES[name][row % 2],
            }
            for row, text in enumerate(SAID)
        ]
        for split in ("train", "valid", "test"):
            (folder / f"{name}_{split}.pkl").write_bytes(pickle.dumps(rows))
        return folder
    columns = {
        "raw_text": np.array(SAID),
        "audio": frames[0],
        "vision": frames[1],
        "regression_labels": np.array([VALUES[name][row % 2] for row in range(len(SAID))], np.float32),
        "audio_lengths": lengths,
        "vision_lengths": [4] * len(SAID),
    }
    path = folder / file_of(name, "train")
    path.write_bytes(pickle.dumps(dict.fromkeys(("train", "valid", "test"), columns)))
    return folder


def call(command: str, *words: object) -> Result:
    return adapters("published", command, *words)


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result: Result) -> str:
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    return line


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("llm"), hidden_size=WIDTH * 8)


@pytest.fixture(scope="module")
def llm(folder: Path) -> FrozenLlm:
    return load_llm(str(folder), "float32", "cpu")


def beside(llm: FrozenLlm, task: Task) -> MseLlm:
    """The whole method with a fresh adapter for frames 5 and 3 wide."""
    return llm.beside(fresh(shape_for("meld-2048", llm, (5, 3)), seed=0), task)


def test_a_turn_comes_with_five_turns_before_it_and_none_after() -> None:
    said = [Utterance(name, text) for name, text in zip("RJRMRJP", SAID, strict=True)]
    assert text_of(said[:2]) == "Speaker 1: I am so glad!\nSpeaker 2: No."
    assert text_of(said).count("\n") == 5
    assert text_of(said).endswith("Speaker 4: Good.")


@pytest.mark.parametrize("name", SETS)
def test_the_loss_falls_and_the_llm_stays_as_it_was(name: str, llm: FrozenLlm, tmp_path: Path) -> None:
    asked, turns = SETS[name], load(name, write_set(tmp_path, name), "train").turns
    model, before = beside(llm, asked.task), digest(llm.model)
    optimiser = torch.optim.AdamW(model.adapter.parameters(), lr=1e-2)
    losses = [np.mean(list(epoch_of(model, asked, turns, optimiser, batch=3))) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert digest(llm.model) == before


@pytest.mark.parametrize("name", SETS)
def test_the_best_epoch_is_kept(name: str, llm: FrozenLlm, tmp_path: Path) -> None:
    """By weighted F1, or by the mean absolute error."""
    asked, turns = SETS[name], load(name, write_set(tmp_path, name), "train").turns
    seen: list[float] = []

    class Watched:
        task = asked.task
        metrics = staticmethod(asked.metrics)

        def score(self, metrics: Any) -> float:
            seen.append(metrics["weighted_f1"] if name in NAMES else -metrics["mae"])
            return asked.score(metrics)

    model = beside(llm, asked.task)
    result = fit(model, Watched(), turns, turns, Fit(4, batch=3, learning_rate=1e-2, patience=4), seed=0)
    assert asked.score(result) == max(seen)
    again = asked.metrics(predict(model, asked, turns).double().numpy(), np.array([turn.value for turn in turns]))
    assert again == {figure: result[figure] for figure in again}


def test_voice_and_face_of_each_turn_go_to_the_adapter_at_their_own_length(tmp_path: Path) -> None:
    turns = load("meld", write_set(tmp_path, "meld"), "train").turns[:3]
    batch = batch_of(turns)
    assert (batch.audio[0].shape, batch.video[0].shape) == ((3, 3, 5), (3, 4, 3))
    assert (batch.audio[1].tolist(), batch.video[1].tolist()) == ([1, 2, 3], [4, 4, 4])
    for row, turn in enumerate(turns):
        assert batch.texts[row] == turn.text
        assert torch.equal(batch.audio[0][row, : row + 1], turn.audio)
        assert torch.equal(batch.video[0][row], turn.video)


def test_training_stops_when_no_epoch_was_better_for_a_while(llm: FrozenLlm) -> None:
    asked = SETS["meld"]
    turns = [Turn(text, torch.zeros(1, 5), torch.zeros(1, 3), 0.0) for text in SAID]
    seen: list[int] = []

    class Unmoved:
        task = asked.task

        def metrics(self, told: Any, true: Any) -> dict[str, Any]:
            seen.append(len(true))
            return {"score": 0.5}

        def score(self, metrics: Any) -> float:
            return float(metrics["score"])

    model = beside(llm, asked.task)
    result = fit(model, Unmoved(), turns, turns, Fit(9, batch=4, learning_rate=1e-3, patience=2), seed=0)
    assert (len(seen), result["epoch"]) == (3, 1)


def test_a_loss_that_is_no_number_ends_training(llm: FrozenLlm) -> None:
    turns = [Turn("No.", torch.full((1, 5), float("nan")), torch.zeros(1, 3), 0.0)]
    model = beside(llm, TASKS["meld"])
    with pytest.raises(AdapterError, match="the training loss is nan"):
        fit(model, SETS["meld"], turns, turns, Fit(1, 1, 1e-3, 1), seed=0)
    with pytest.raises(AdapterError, match="answers are not numbers"):
        predict(model, SETS["meld"], turns)


def test_a_seed_gives_the_same_adapter(llm: FrozenLlm) -> None:
    shape = shape_for("meld-2048", llm, (5, 3))
    one, two, other = (fresh(shape, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_flags_win_over_the_papers_settings() -> None:
    assert fit_of("meld", None) == (Fit(3, 16, 5e-4, 8), "meld-2048")
    assert fit_of("mosei", "chatglm3-6b-base") == (Fit(30, 8, 5e-5, 10), "mosei-4096")
    flags = {"epochs": 2, "batch": None, "learning_rate": 0.1, "patience": None}
    assert fit_of("sims-v2", "llama2-7b", **flags) == (Fit(2, 8, 0.1, 10), "sims-v2-4096")
    with pytest.raises(AdapterError, match="the paper has no gpt on meld"):
        fit_of("meld", "gpt")


@pytest.mark.parametrize("name", SETS)
def test_what_was_saved_gives_the_same_figures_again(name: str, folder: Path, tmp_path: Path) -> None:
    """Through the command line, from the authors' file to the figures of a split."""
    data = write_set(tmp_path / "data", name)
    common = ("--data", data, "--dtype", "float32", "--device", "cpu")
    words = ("--dataset", name, "--backbone", folder, "--epochs", 2, "--batch", 4, "--learning-rate", 1e-2)
    trained = told(call("train", *common, *words, "--out", tmp_path / "out"))
    reason = "audio: a length of no frames, or of more than there are"
    assert trained["refused"] == {"train": {reason: 1}, "valid": {reason: 1}}
    assert (trained["turns"], trained["n"], trained["source"]) == (6, 6, "processed files")
    again = told(call("evaluate", tmp_path / "out", *common))
    kept = {"dataset", "source", "parameters", "n", "weighted_f1", "accuracy", "ece", "mae", "corr", "acc5", "acc7"}
    assert {"weighted_f1", "mae"} & again.keys()
    assert {key: again[key] for key in kept & again.keys()} == {key: trained[key] for key in kept & trained.keys()}
    assert told(call("evaluate", tmp_path / "out", *common, "--split", "test"))["refused"] == {reason: 1}


def test_several_seeds(folder: Path, tmp_path: Path) -> None:
    data = write_set(tmp_path / "sims-v2", "sims-v2") / "ch-simsv2s.pkl"
    words = ("--data", data, "--dataset", "sims-v2", "--backbone", folder, "--epochs", 1, "--dtype", "float32")
    result = told(call("train", *words, "--seed", 3, "--seeds", 2, "--out", tmp_path / "out"))
    assert result["seeds"] == [3, 4]
    singles = [told(call("train", *words, "--seed", seed)) for seed in (3, 4)]
    assert result["mae"]["values"] == [single["mae"] for single in singles]
    assert result["mae"]["mean"] == pytest.approx(sum(single["mae"] for single in singles) / 2)
    assert result["parameters"] == singles[0]["parameters"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == result
    assert sorted(path.name for path in (tmp_path / "out").glob("seed-*")) == ["seed-3", "seed-4"]


def test_seeds_that_are_done_are_not_trained_again(folder: Path, tmp_path: Path) -> None:
    data = write_set(tmp_path / "sims-v2", "sims-v2") / "ch-simsv2s.pkl"
    words = ("--data", data, "--dataset", "sims-v2", "--backbone", folder, "--dtype", "float32")
    words += ("--seeds", 2, "--out", tmp_path / "out")
    done, cut_off = (tmp_path / "out" / f"seed-{seed}" / CARD for seed in (0, 1))
    first = told(call("train", *words, "--epochs", 1))
    written = done.stat().st_mtime_ns
    cut_off.unlink()
    again = told(call("train", *words, "--epochs", 1))
    assert again | {"minutes_per_epoch": 0} == first | {"minutes_per_epoch": 0}
    assert cut_off.is_file()
    assert done.stat().st_mtime_ns == written
    (done.parent / WEIGHTS).write_bytes(b"damaged")
    told(call("train", *words, "--epochs", 1))
    assert done.stat().st_mtime_ns != written


@pytest.mark.parametrize("other", [("--epochs", 2), ("--dtype", "bfloat16"), ("--data", "other")])
def test_seeds_of_another_run_are_trained_again(other: tuple[str, Any], folder: Path, tmp_path: Path) -> None:
    data = {name: write_set(tmp_path / name, "sims-v2") / "ch-simsv2s.pkl" for name in ("one", "other")}
    columns = pickle.loads(data["other"].read_bytes())
    columns["valid"] = {**columns["valid"], "raw_text": np.array([*SAID[:-2], "Fine.", SAID[-1]])}
    data["other"].write_bytes(pickle.dumps(columns))
    mean_voice = {"--data": data["one"], "--epochs": 1, "--dtype": "float32"}
    key, value = other
    written = []
    for flags in (mean_voice, {**mean_voice, key: data.get(str(value), value)}):
        words = [word for pair in flags.items() for word in pair]
        told(
            call("train", *words, "--dataset", "sims-v2", "--backbone", folder, "--seeds", 2, "--out", tmp_path / "out")
        )
        written.append((tmp_path / "out" / "seed-0" / CARD).stat().st_mtime_ns)
    assert written[0] != written[1]


def test_a_folder_that_cannot_be_is_told_before_training(folder: Path, tmp_path: Path) -> None:
    data = write_set(tmp_path / "sims-v2", "sims-v2") / "ch-simsv2s.pkl"
    (tmp_path / "out").write_text("a file", "utf-8")
    words = ("--data", data, "--dataset", "sims-v2", "--backbone", folder, "--epochs", 10**6, "--out", tmp_path / "out")
    assert "give --out another one" in refused(call("train", *words))


def write_tables(folder: Path) -> Path:
    rows = [f'"{text}",{speaker},joy,0,{row}' for row, (text, speaker) in enumerate(zip(SAID, "RJRMRJP", strict=True))]
    for split in ("train", "dev"):
        (folder / f"{split}_sent_emo.csv").write_text(
            "\n".join(["Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID", *rows, '"Oh.",J,bored,1,0'])
        )
    return folder


def test_melds_tables_have_words_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "meld").mkdir()
    write_tables(tmp_path / "meld")
    turns = load("meld", tmp_path, "valid")
    assert (len(turns.turns), turns.widths, turns.source) == (7, (FRAMES, FRAMES), "tables")
    assert turns.refused == {"unknown emotion 'bored'": 1}
    words = (
        "--data",
        tmp_path,
        "--backbone",
        folder,
        "--epochs",
        1,
        "--dialogues",
        1,
        "--dev-dialogues",
        1,
        "--dtype",
        "float32",
    )
    assert told(call("train", *words, "--out", tmp_path / "out"))["weighted_f1"] >= 0
    processed = write_set(tmp_path / "processed", "meld", (FRAMES, FRAMES))
    said = refused(call("evaluate", tmp_path / "out", "--data", processed))
    assert "was trained on tables, the turns at hand are from processed files" in said


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The data and the adapter."""
    place = tmp_path_factory.mktemp("trained")
    data = write_set(place / "data", "meld")
    told(call("train", "--data", data, "--backbone", folder, "--epochs", 1, "--out", place / "out"))
    return data, place / "out"


def test_another_llm_is_named_beside_the_one_that_was_trained_with(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = trained
    other = write_backbone(tmp_path / "other", seed=1, hidden_size=WIDTH * 8)
    wider = write_backbone(tmp_path / "wider", hidden_size=WIDTH * 16)
    made = json.loads((out / CARD).read_text())["backbone"]
    said = refused(call("evaluate", out, "--data", data, "--backbone", other))
    assert f"was trained beside {made['name']} ({made['fingerprint']}), not {other} (" in said
    said = refused(call("evaluate", out, "--data", data, "--backbone", wider))
    assert f"was made for an LLM 128 wide, {wider} is 256 wide" in said


def test_other_frames_are_named_beside_those_that_were_trained_with(trained: tuple[Path, Path], tmp_path: Path) -> None:
    _, out = trained
    for widths, what in (((6, 3), "voice frames 5 wide, the processed files have them 6"), ((5, 2), "face frames 3")):
        data = write_set(tmp_path / str(widths), "meld", widths)
        assert what in refused(call("evaluate", out, "--data", data))


def test_a_damaged_adapter_is_refused(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = trained
    weights, card = load_file(out / WEIGHTS), json.loads((out / CARD).read_text())

    def said(**changes: Any) -> str:
        (tmp_path / CARD).write_text(json.dumps(card | changes))
        return refused(call("evaluate", tmp_path, "--data", data))

    assert "card.json is missing" in refused(call("evaluate", tmp_path, "--data", data))
    assert "no weights at" in said()
    (tmp_path / WEIGHTS).write_bytes((out / WEIGHTS).read_bytes())
    assert "was trained for meld, not for mosei" in refused(call("evaluate", out, "--data", data, "--dataset", "mosei"))
    assert "has format 9" in said(format=9)
    assert "does not describe an adapter" in said(shape={"d": 1})
    assert "unknown data set 'x'" in said(dataset="x")
    assert "its card wants" in said(shape=card["shape"] | {"n": 3})
    assert "shape.d: Input should be a valid integer" in said(shape=card["shape"] | {"d": "wide"})
    assert "no adapter has the sizes" in said(shape=card["shape"] | {"d": -5})
    save_file({**weights, "fusion.kernel.bias": torch.ones(1)}, tmp_path / WEIGHTS)
    assert "is damaged: its SHA-256 is" in said()
    (tmp_path / WEIGHTS).write_bytes(b"nonsense")
    assert "is no safetensors file" in said()


def official(adapter: MseAdapter) -> dict[str, torch.Tensor]:
    """Weights under the authors' names."""
    names = {
        "audio.": "audio_LSTM.",
        "video.": "video_LSTM.",
        "mixer.": "text_guide_mixer.",
        "fusion.kernel.": "mutli_scale_fusion.integrating.Integrating_layer.0.",
        "fusion.widen.": "mutli_scale_fusion.multi_scale_projector.",
        "fusion.spread.": "mutli_scale_fusion.projector.",
        "fusion.": "mutli_scale_fusion.",
    }
    weights: dict[str, torch.Tensor] = {}
    for name, value in adapter.state_dict().items():
        ours = next(prefix for prefix in names if name.startswith(prefix))
        wide = value.reshape(1, 1, 1, 3) if name == "fusion.kernel.weight" else value
        weights[names[ours] + name.removeprefix(ours)] = wide.contiguous()
    return weights


def test_weights_in_the_authors_layout_are_judged(folder: Path, llm: FrozenLlm, tmp_path: Path) -> None:
    data, path = write_set(tmp_path, "cherma"), tmp_path / "official.safetensors"
    adapter = MseAdapter(MseShape(llm.width, 4, SequenceShape(5, 6), SequenceShape(3, 7)))
    save_file(official(adapter), path)
    words = (path, "--data", data, "--dtype", "float32", "--device", "cpu")
    result = told(call("evaluate", *words, "--dataset", "cherma", "--backbone", folder))
    asked, turns = SETS["cherma"], load("cherma", data, "valid").turns
    expected = predict(llm.beside(adapter, asked.task), asked, turns)
    assert result["accuracy"] == float(np.mean([turn.value for turn in turns] == expected.argmax(1).numpy()))
    assert "give --dataset and --backbone" in refused(call("evaluate", *words))
    save_file({name: value for name, value in official(adapter).items() if "projector" not in name}, path)
    said = refused(call("evaluate", *words, "--dataset", "cherma", "--backbone", folder))
    assert "fusion.spread.weight is missing" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dataset", "mosi"), "unknown data set 'mosi': take meld, cherma, mosei, sims-v2"),
        (("--dataset", "mosei"), "no unaligned_50.pkl in"),
        (("--dataset", "cherma"), "no cherma_train.pkl in"),
        (("--dataset", "meld"), "neither meld_train.pkl nor train_sent_emo.csv in"),
        (("--preset", "gpt"), "the paper has no gpt on meld"),
    ],
)
def test_what_is_not_there_is_one_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert said in refused(call("train", "--data", tmp_path, *words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dialogues", "2"), "processed files do not tell dialogues apart"),
        (("--backbone", "no-such-llm"), "no backbone at"),
        (("--device", "abacus"), "cannot use the device 'abacus'"),
        (("--dtype", "int3"), "unknown number format 'int3'"),
    ],
)
def test_what_cannot_be_used_is_one_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    assert said in refused(call("train", "--data", write_set(tmp_path, "meld"), *words))


def test_malformed_files_are_one_line(tmp_path: Path) -> None:
    data = write_set(tmp_path, "meld")
    (data / "meld_valid.pkl").write_bytes(pickle.dumps([{"features": {}, "label": "joy"}]))
    said = refused(call("train", "--data", data))
    assert "meld_valid.pkl has no row that can be used: 1 with no text, audio" in said
    write_set(tmp_path / "other", "meld", (6, 3))
    (data / "meld_valid.pkl").write_bytes((tmp_path / "other" / "meld_valid.pkl").read_bytes())
    assert "train split's frames are (5, 3), the valid split's are (6, 3)" in refused(call("train", "--data", data))
    (data / "meld_valid.pkl").unlink()
    write_tables(data)
    assert "come from processed files, the valid split's come from tables" in refused(call("train", "--data", data))
    (data / "meld_train.pkl").write_bytes(pickle.dumps(Path("x")))
    assert "it wants to use pathlib" in refused(call("train", "--data", data))


def test_rows_of_several_widths_are_one_line(tmp_path: Path) -> None:
    write_set(tmp_path, "meld")
    rows = pickle.loads((tmp_path / "meld_train.pkl").read_bytes())
    rows[1]["features"]["audio"] = np.ones((4, 9), np.float32)
    (tmp_path / "meld_train.pkl").write_bytes(pickle.dumps(rows))
    with pytest.raises(AdapterError, match="voice and face frames 5 and 3 wide in one row, 9 and 3 in another"):
        load("meld", tmp_path, "train")


def test_a_sentiment_out_of_range_is_refused_and_counted(tmp_path: Path) -> None:
    path = write_set(tmp_path, "sims-v2") / "ch-simsv2s.pkl"
    splits = pickle.loads(path.read_bytes())
    splits["train"]["regression_labels"][0] = 1.2
    path.write_bytes(pickle.dumps(splits))
    assert load("sims-v2", path, "train").refused["a sentiment that is not between -1 and 1"] == 1
