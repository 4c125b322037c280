"""The published method as a whole, on tiny transformers of each architecture."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from adapters.llm.backbone import digest
from adapters.mse.adapter import MseAdapter, MseShape
from adapters.mse.encoders import SequenceShape
from adapters.mse.llm import MseBatch, MseLlm
from adapters.mse.tasks import TASKS
from tests.support.tiny import ARCHITECTURES, WIDTH, write_backbone

TEXTS = ("Oh no!", "What a day, and what a lovely evening it is.", "Hm.")


def load(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def adapter(seed: int = 0) -> MseAdapter:
    torch.manual_seed(seed)
    return MseAdapter(MseShape(WIDTH * 8, 2, SequenceShape(5, 4), SequenceShape(3, 4)))


def batch(texts: tuple[str, ...] = TEXTS) -> MseBatch:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([4, 2, 3][: len(texts)])
    return MseBatch(
        texts,
        (torch.randn(len(texts), 4, 5, generator=generator), lengths),
        (torch.randn(len(texts), 4, 3, generator=generator), lengths),
    )


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("llm"), request.param, hidden_size=WIDTH * 8)


def build(folder: Path, task: str = "meld") -> MseLlm:
    return MseLlm(load(folder), AutoTokenizer.from_pretrained(folder), adapter(), TASKS[task])


def test_answers_are_scored_as_the_llm_itself_scores_them(folder: Path) -> None:
    """Written out by hand: one turn, one answer, the LLM's own loss."""
    model, llm, tokenizer = build(folder), load(folder), AutoTokenizer.from_pretrained(folder)
    one = batch(TEXTS[:1])
    task = TASKS["meld"]

    def embed(text: str) -> torch.Tensor:
        return llm.get_input_embeddings()(torch.tensor(tokenizer(text)["input_ids"]))

    words = embed(TEXTS[0])
    pseudo = adapter()(words[None], one.audio, one.video)[0]
    bos = llm.get_input_embeddings()(torch.tensor([0]))
    opening = [bos] if tokenizer.bos_token_id is not None else []
    prompt = torch.cat([*opening, embed(task.before), pseudo, words, embed(task.after + task.question), embed("3")])
    with torch.no_grad():
        logits = llm(inputs_embeds=prompt[None]).logits[0, -2].log_softmax(-1)
    expected = -logits[tokenizer("3")["input_ids"][0]]
    torch.testing.assert_close(model.loss(one, [3]), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("task", ["meld", "sims-v2"])
def test_a_turns_scores_do_not_depend_on_its_neighbours(folder: Path, task: str) -> None:
    model, together = build(folder, task), batch()
    scores = model.scores(together)
    assert scores.shape == (3, len(TASKS[task].answers))
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(3))
    alone = MseBatch(
        TEXTS[:1],
        (together.audio[0][:1], together.audio[1][:1]),
        (together.video[0][:1], together.video[1][:1]),
    )
    torch.testing.assert_close(model.scores(alone)[0], scores[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("task", ["meld", "sims-v2"])
def test_scores_and_losses_are_the_same_likelihoods(folder: Path, task: str) -> None:
    model, one = build(folder, task), batch(TEXTS[:1])
    with torch.no_grad():
        losses = torch.stack([model.loss(one, [answer]) for answer in range(len(TASKS[task].answers))])
    torch.testing.assert_close(model.scores(one)[0], (-losses).log_softmax(-1), atol=1e-4, rtol=1e-4)


def test_only_the_adapter_learns(folder: Path) -> None:
    """The LLM keeps its weights, and what it writes without the adapter, token by token."""
    llm, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    asked = tokenizer("Once upon a time", return_tensors="pt")["input_ids"]
    before, written = digest(llm), llm.generate(asked, max_new_tokens=12, do_sample=False)
    model = MseLlm(llm, tokenizer, adapter(), TASKS["meld"])
    optimiser = torch.optim.AdamW(model.adapter.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = model.loss(batch(), [0, 4, 6])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert digest(llm) == before
    torch.testing.assert_close(llm.generate(asked, max_new_tokens=12, do_sample=False), written)


def test_answers() -> None:
    assert TASKS["meld"].answers == ("0", "1", "2", "3", "4", "5", "6")
    assert len(TASKS["mosei"].answers) == 61
    assert (TASKS["mosei"].answers[0], TASKS["mosei"].answers[-1]) == ("-3.0", "+3.0")
    assert TASKS["sims-v2"].answers[TASKS["sims-v2"].answer_to(0.34)] == "+0.3"
    assert TASKS["mosei"].answers[TASKS["mosei"].answer_to(0.0)] == "+0.0"
