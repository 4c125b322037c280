"""The questions to the LLM in the published method, and its possible answers.

Prompts, label numbers and number formats are the authors' (their configuration of MSE-Qwen-1.8B), English for MELD,
IEMOCAP and MOSEI, Chinese for CHERMA and SIMS-V2. Their code writes an answer token by token, and takes what does not
parse for 0; here every possible answer is scored instead, so each prediction is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One data set's question.

    Attributes:
        question: What follows the content.
        answers: Every answer, as text.
        values: The class id or the intensity that each answer stands for.
        before: What opens the content.
        after: What closes it.
    """

    question: str
    answers: tuple[str, ...]
    values: tuple[float, ...]
    before: str = "<Multimodal>"
    after: str = "</Multimodal>"

    def answer_to(self, value: float) -> int:
        """The answer nearest to a value."""
        return min(range(len(self.values)), key=lambda index: abs(self.values[index] - value))


def _classes(question: str, count: int, *marks: str) -> Task:
    return Task(question, tuple(str(label) for label in range(count)), tuple(map(float, range(count))), *marks)


def _intensity(question: str, tenths: int, *marks: str) -> Task:
    """Numbers with one decimal and their sign, from ``-tenths / 10`` to ``tenths / 10``."""
    values = tuple(step / 10 for step in range(-tenths, tenths + 1))
    return Task(question, tuple(f"{value:+.1f}" for value in values), values, *marks)


_CHINESE = "<多模态>", "</多模态>"

TASKS: Mapping[str, Task] = {
    "meld": _classes(
        "Please recognize the emotion of the above multimodal content from the target set <neutral:0, surprise:1, "
        "fear:2, sadness:3, joy:4, disgust:5, anger:6>. Assistant: The emotion is",
        7,
    ),
    "iemocap": _classes(
        "Please recognize the emotion of the above multimodal content from the label set <hap: 0, sad: 1, neu: 2, "
        "ang: 3, exc: 4, fru: 5>. Assistant: The emotion is",
        6,
    ),
    "cherma": _classes(
        "请选择适用于上述多模态内容的情绪标签：<愤怒:0, 厌恶:1, 恐惧:2, 高兴:3, 平静:4, 悲伤:5, 惊奇:6>。助手: 情绪为",
        7,
        *_CHINESE,
    ),
    "mosei": _intensity(
        "Please predict the sentiment intensity of the above multimodal content in the range [-3.0, +3.0]. "
        "Assistant: The sentiment is",
        30,
    ),
    "sims-v2": _intensity(
        "请对上述多模态内容的情感强度进行预测，范围在[-1.0, +1.0]之间。响应: 情感为",
        10,
        *_CHINESE,
    ),
}
