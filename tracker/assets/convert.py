"""Turn fetched files into the form that is loaded: safetensors, so that nothing is unpickled at run time."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import zipfile
from pathlib import Path

from tracker.assets.manifest import Conversion


def convert(kind: Conversion, folder: Path) -> None:
    """Convert the files in a folder, in place."""
    match kind:
        case "gguf":
            _gguf(folder)
        case "torch":
            _torch(folder)
        case "keras":
            _keras(folder)
        case "zip":
            _zip(folder)
        case "none":
            pass


def _torch(folder: Path) -> None:
    """A pickled state dict, read through torch's allow-list, becomes ``model.safetensors``."""
    import torch
    from safetensors.torch import save_file

    (source,) = folder.glob("*.pt")
    loaded = torch.load(source, map_location="cpu", weights_only=True)
    state = loaded.get("state_dict", loaded)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    source.unlink()


def _keras(folder: Path) -> None:
    """The weights in a Keras HDF5 file, as they lie there, under the names of their layers (``conv2d_1.kernel``)."""
    import h5py
    from safetensors.numpy import save_file

    (source,) = folder.glob("*.hdf5")
    weights = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer, _, weight = name.split("/")
            weights[f"{layer}.{weight.removesuffix(':0')}"] = item[()]

    with h5py.File(source) as file:
        file["model_weights"].visititems(keep)
    save_file(weights, folder / "model.safetensors")
    source.unlink()


def _zip(folder: Path) -> None:
    """The files in a zip, whatever folder they are in there; each of another name (their hashes are compared later)."""
    (source,) = folder.glob("*.zip")
    with zipfile.ZipFile(source) as packed:
        for member in packed.infolist():
            if not member.is_dir():
                with packed.open(member) as file, (folder / Path(member.filename).name).open("xb") as out:
                    shutil.copyfileobj(file, out)
    source.unlink()


def _gguf(folder: Path) -> None:
    """A quantised GGUF becomes a plain Hugging Face folder in float32 (its 20 s of unpacking are spent once)."""
    import torch
    import transformers
    from safetensors.torch import save_file

    (source,) = folder.glob("*.gguf")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    with contextlib.redirect_stderr(io.StringIO()):  # a further progress bar, which nothing turns off
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=source.name, dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=source.name)
    # The output layer shares the embedding's weights, and a file holds each tensor once.
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    source.unlink()
