"""LLMs by short name, and the published method's settings for each of its LLMs and data sets.

The settings are those of the authors' files (``config/config_classification.py``, ``config/config_regression.py`` and
``trains/multiTask/CMCM.py`` of MSE-Qwen-1.8B, MSE-ChatGLM3-6B and MSE-Llama2-7B), as public copies of their
repository have them; the paper's own text was not at hand, so where the two differ, this is the code's side. In all of
them: AdamW with epsilon 1e-4 and torch's default weight decay, a cosine schedule over `PaperFit.epochs` with a tenth of
it as warm-up, mixed precision, and the best epoch on the validation split (weighted F1, or MAE) is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.assets import asset_folder
from adapters.errors import AdapterError

_ON_HUB = re.compile(r"[\w.-]+/[\w.-]+")


LLMS: Mapping[str, str] = {
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "smollm2-360m": "HuggingFaceTB/SmolLM2-360M-Instruct",
    "qwen2.5-0.5b": "Qwen/Qwen2.5-0.5B-Instruct",
    "qwen2.5-1.5b": "Qwen/Qwen2.5-1.5B-Instruct",
    "gemma-3-270m": "google/gemma-3-270m",
    "qwen3-0.6b": "Qwen/Qwen3-0.6B",
    "qwen3-1.7b": "Qwen/Qwen3-1.7B",
    # The paper's three. The first two run only with code from their repositories, which is not run here; the nearest
    # models that transformers has: Qwen/Qwen1.5-1.8B (2048 wide, 24 layers) and zai-org/glm-4-9b-hf (4096, 40).
    "qwen-1.8b": "Qwen/Qwen-1_8B",
    "chatglm3-6b-base": "THUDM/chatglm3-6b-base",
    "llama2-7b": "meta-llama/Llama-2-7b-hf",
}
"""Names on the Hugging Face hub, by short name."""


@dataclass(frozen=True, slots=True)
class PaperFit:
    """How the published method is trained on one data set with one LLM.

    Attributes:
        shape: The adapter's sizes, a key of `adapters.mse.adapter.PRESETS`.
        learning_rate: Highest rate of the schedule.
        batch: Rows per step.
        epochs: Length of the schedule; training may stop before.
        patience: Epochs without a better validation metric after which training stops.
    """

    shape: str
    learning_rate: float
    batch: int
    epochs: int
    patience: int


PAPER: Mapping[tuple[str, str], PaperFit] = {
    ("qwen-1.8b", "meld"): PaperFit("meld-2048", 5e-4, 16, 50, 8),
    ("qwen-1.8b", "cherma"): PaperFit("cherma-2048", 5e-3, 16, 30, 8),
    ("qwen-1.8b", "mosei"): PaperFit("mosei-2048", 5e-3, 16, 30, 10),
    ("qwen-1.8b", "sims-v2"): PaperFit("sims-v2-2048", 5e-4, 16, 30, 10),
    ("chatglm3-6b-base", "meld"): PaperFit("meld-4096", 5e-5, 8, 90, 8),
    ("chatglm3-6b-base", "cherma"): PaperFit("cherma-4096", 5e-5, 8, 30, 8),
    ("chatglm3-6b-base", "mosei"): PaperFit("mosei-4096", 5e-5, 8, 30, 10),
    ("chatglm3-6b-base", "sims-v2"): PaperFit("sims-v2-4096", 5e-5, 8, 80, 10),
    ("llama2-7b", "meld"): PaperFit("meld-4096", 5e-4, 6, 30, 8),
    ("llama2-7b", "cherma"): PaperFit("cherma-4096", 5e-5, 6, 30, 8),
    ("llama2-7b", "mosei"): PaperFit("mosei-4096", 5e-5, 8, 30, 10),
    ("llama2-7b", "sims-v2"): PaperFit("sims-v2-4096", 5e-5, 8, 40, 10),
}


def paper_fit(llm: str, dataset: str) -> PaperFit:
    """The published settings.

    Raises:
        AdapterError: The paper has no such LLM or data set.
    """
    try:
        return PAPER[llm, dataset]
    except KeyError:
        known = ", ".join(f"{name} on {data}" for name, data in PAPER)
        raise AdapterError(f"the paper has no {llm} on {dataset}, but {known}") from None


def public_name(name: str) -> str:
    """What events call an LLM: a folder by its last part alone, since where it lies is nobody's business."""
    return Path(name).name if Path(name).is_absolute() or name.startswith((".", "~")) else name


def backbone_source(name: str) -> str | Path:
    """Where an LLM is that a recipe or card names.

    Args:
        name: A folder, a pulled asset, a preset (`LLMS`) or ``owner/name`` on the Hugging Face hub.

    Returns:
        A folder, or a name on the hub; the folder of the asset, which is not there, where it is none of these.
    """
    for folder in (Path(name), asset_folder(name)):
        if folder.is_dir():
            return folder
    if name in LLMS:
        return LLMS[name]
    return name if _ON_HUB.fullmatch(name) else asset_folder(name)
