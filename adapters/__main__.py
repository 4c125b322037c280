"""One program: ``python -m adapters COMMAND``. A command's own modules are loaded when it runs."""

from __future__ import annotations

from importlib import import_module

import typer

from adapters.errors import AdapterError, extra_needed, without_controls

COMMANDS = {
    "train": ("adapters.training.train:main", "Train an adapter by a recipe."),
    "dimensions": ("adapters.training.dimensions:main", "Train an adapter for valence and arousal."),
    "evaluate": ("adapters.evaluation.evaluate:main", "Evaluate an adapter on a data set."),
    "outside": ("adapters.evaluation.outside:main", "Evaluate words on corpora that are no sitcom."),
    "modalities": ("adapters.evaluation.modalities:main", "Measure what voice and face add to the words."),
    "cross-corpus": ("adapters.evaluation.cross_corpus:main", "Evaluate voices on corpora left out of training."),
    "sounds": ("adapters.evaluation.sounds:main", "Find laughter, crying and so on in clips of them, and in talk."),
    "probe-faces": ("adapters.evaluation.probe_faces:main", "Probe the face features with a linear classifier."),
    "probe-pseudo": ("adapters.evaluation.probe_pseudo:main", "Look at what pseudo tokens do in an adapter."),
    "ablate words": ("adapters.evaluation.ablate.commands:ablate_words", "Layers, pooling, past turns, members."),
    "ablate voice": ("adapters.evaluation.ablate.commands:ablate_voice", "Pooling, prosody, speaker normalisation."),
    "ablate pseudo": ("adapters.evaluation.ablate.commands:ablate_pseudo", "Mixer, fusion, rank, question, layers."),
    "cost": ("adapters.evaluation.cost:main", "Time an epoch, the published way and ours."),
    "backbone-speed": ("adapters.evaluation.backbone_speed:main", "Time the LLM in each number format."),
    "published train": ("adapters.published.train:main", "Train the published MSE-Adapter."),
    "published evaluate": ("adapters.published.evaluate:main", "Evaluate a published MSE-Adapter."),
    "push": ("adapters.push:main", "Publish an adapter on the Hugging Face hub."),
    "corpora": ("adapters.datasets.corpus:main", "List the data sets: licences, labels, splits."),
    "cache": ("adapters.datasets.cache:main", "List or delete what training keeps on this machine."),
}
_GROUPS = {
    "ablate": "Measure what each part of the adapter adds, as a Markdown table.",
    "published": "The published method, as its authors train and evaluate it.",
}
_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def run(name: str, words: list[str], program: str) -> None:
    """Run a command.

    Args:
        name: One of `COMMANDS`.
        words: Its arguments.
        program: What its help calls it.

    Raises:
        AdapterError: What it needs is not installed, or the user can mend what went wrong.
        typer.Exit: The command has ended with an exit code.
    """
    module, _, function = COMMANDS[name][0].partition(":")
    try:
        command = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        raise AdapterError(extra_needed(program, "train", error)) from error
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    code = app(words, prog_name=program, standalone_mode=False)
    if code:
        raise typer.Exit(code)


def _add(app: typer.Typer, name: str) -> None:
    def command(context: typer.Context) -> None:
        try:
            run(name, context.args, context.command_path)
        except AdapterError as error:
            typer.echo(f"error: {' '.join(without_controls(str(error)).split())}", err=True)
            raise typer.Exit(1) from error

    app.command(name.split()[-1], help=COMMANDS[name][1], context_settings=_PASS_ON)(command)


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _build() -> typer.Typer:
    app = _group("Train and evaluate emotion adapters.")
    groups = {"": app} | {name: _group(text) for name, text in _GROUPS.items()}
    for name in COMMANDS:
        _add(groups[name.rpartition(" ")[0]], name)
    for name in _GROUPS:
        app.add_typer(groups[name], name=name)
    return app


app = _build()

if __name__ == "__main__":
    app(prog_name="python -m adapters")
