"""The published method as a whole: pseudo tokens before the words, a question after them, the LLM's answer scored.

Layout of one turn, as the authors have it: ``BOS <Multimodal> pseudo tokens, words </Multimodal> question answer``.
The loss is the LLM's own, on the answer's tokens. Differences to the authors' code: padding is masked in attention and
in the text's average, and answers are compared by their likelihood instead of being generated and parsed. The LLM is
frozen; the adapter is all that learns.

Letters: ``b`` turns, ``time`` positions, ``n`` pseudo tokens, ``d`` the LLM's width, ``answers`` of the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from adapters.mse.adapter import MseAdapter
from adapters.mse.tasks import Task


@dataclass(frozen=True, slots=True, eq=False)
class MseBatch:
    """Some turns.

    Attributes:
        texts: The words, with the dialogue before them where there is one.
        audio: Voice frames, padded, and each one's length.
        video: Face frames, padded, and each one's length.
    """

    texts: Sequence[str]
    audio: tuple[Float[Tensor, "b time dim"], Int[Tensor, " b"]]
    video: tuple[Float[Tensor, "b frames width"], Int[Tensor, " b"]]


class MseLlm:
    """A frozen causal LLM that answers a question about turns, with the adapter's pseudo tokens before their words.

    Args:
        llm: Any causal LLM of Hugging Face's.
        tokenizer: Its own.
        adapter: Fits the LLM's width; it is moved to the LLM's device, and its parameters are the only ones that take a
            gradient.
        task: The question.
    """

    def __init__(
        self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, adapter: MseAdapter, task: Task
    ) -> None:
        self.adapter = adapter.to(llm.device)
        self._llm = llm.requires_grad_(False).train(False)
        self._tokenizer = tokenizer
        opening = [] if tokenizer.bos_token_id is None else [int(tokenizer.bos_token_id)]
        self._before = torch.tensor(opening + self._ids(task.before))
        self._behind = torch.tensor(self._ids(task.after) + self._ids(task.question))
        self._answers = [torch.tensor(self._ids(answer)) for answer in task.answers]

    def loss(self, batch: MseBatch, answers: Sequence[int]) -> Float[Tensor, ""]:
        """Mean negative log likelihood of the right answers.

        Args:
            batch: The turns.
            answers: The index of each one's answer in the task.
        """
        prompts = self._prompts(batch)
        rows = [(prompt, self._answers[answer]) for prompt, answer in zip(prompts, answers, strict=True)]
        loss: Tensor = -self._likelihoods(rows).mean()
        return loss

    @torch.no_grad()
    def scores(self, batch: MseBatch) -> Float[Tensor, "b answers"]:
        """Log probability of every answer of the task among all of them."""
        prompts = self._prompts(batch)
        # One row scores all answers that differ in their last token only: a few rows for 61 intensities.
        rows = {tuple(answer[:-1].tolist()): answer for answer in self._answers}
        heads = list(rows)
        log_probs = self._log_probs([(prompt, answer) for prompt in prompts for answer in rows.values()])
        log_probs = log_probs.unflatten(0, (-1, len(heads)))
        scores = [
            log_probs[:, heads.index(tuple(answer[:-1].tolist())), torch.arange(len(answer)), answer].sum(-1)
            for answer in self._answers
        ]
        return torch.stack(scores, -1).log_softmax(-1)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _embed(self, ids: Int64[Tensor, " time"]) -> Float[Tensor, "time d"]:
        embedded: Tensor = self._llm.get_input_embeddings()(ids.to(self._llm.device))
        return embedded.float()

    def _prompts(self, batch: MseBatch) -> list[Float[Tensor, "time d"]]:
        """Everything before the answer, turn by turn."""
        words = [self._embed(torch.tensor(self._ids(text), dtype=torch.long)) for text in batch.texts]
        padded = pad_sequence(words, batch_first=True)
        audio, video = ((frames.to(padded.device), lengths) for frames, lengths in (batch.audio, batch.video))
        pseudo = self.adapter(padded, audio, video, _present([len(w) for w in words]).to(padded.device))
        before, behind = self._embed(self._before), self._embed(self._behind)
        return [torch.cat([before, tokens, own, behind]) for tokens, own in zip(pseudo, words, strict=True)]

    def _likelihoods(
        self, rows: Sequence[tuple[Float[Tensor, "time d"], Int64[Tensor, " answer"]]]
    ) -> Float[Tensor, " rows"]:
        """Log likelihood of each row's answer after its prompt."""
        log_probs = self._log_probs(rows)
        wanted = pad_sequence([answer for _, answer in rows], batch_first=True).to(log_probs.device)
        counts = _present([len(answer) for _, answer in rows]).to(log_probs.device)
        likelihoods: Tensor = (log_probs.gather(-1, wanted[..., None])[..., 0] * counts).sum(-1)
        return likelihoods

    def _log_probs(
        self, rows: Sequence[tuple[Float[Tensor, "time d"], Int64[Tensor, " answer"]]]
    ) -> Float[Tensor, "rows answer vocabulary"]:
        """Log probabilities of every token where each row's answer stands."""
        embedded = [torch.cat([prompt, self._embed(answer)]) for prompt, answer in rows]
        inputs = pad_sequence(embedded, batch_first=True).to(self._llm.dtype)
        present = _present([len(row) for row in embedded]).to(self._llm.device)
        longest = max(len(answer) for _, answer in rows)
        ends = torch.tensor([len(prompt) for prompt, _ in rows])
        states = self._llm.base_model(inputs_embeds=inputs, attention_mask=present.long(), use_cache=False)[0]
        # Only the positions from which an answer's tokens are predicted go through the vocabulary head.
        at = (ends[:, None] - 1 + torch.arange(longest)).clamp(max=inputs.shape[1] - 1)
        head = self._llm.get_output_embeddings()
        log_probs: Tensor = head(states[torch.arange(len(rows))[:, None], at]).float().log_softmax(-1)
        return log_probs


def _present(lengths: Sequence[int]) -> Bool[Tensor, "b time"]:
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
