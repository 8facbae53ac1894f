"""``mien models``: what is installed, what can be fetched, under which licence, how accurate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.exit_codes import BROKEN, told

app = typer.Typer(
    help="List, fetch, check and pack models. Without a command: list those at hand.",
    invoke_without_command=True,
)


@app.callback()
def models(context: typer.Context) -> None:
    """List, fetch, check and pack models."""
    if context.invoked_subcommand is None:
        told(_list)()


def _list() -> None:
    """Models at hand, and those that can be fetched by name."""
    from mien.cli.output.models import show_shelf

    show_shelf()


def info(name: Annotated[str, typer.Argument(help="Name of a model.")]) -> None:
    """Everything that is known about one model."""
    from mien.cli.output.models import show_info

    show_info(name)


def pull(names: Annotated[list[str], typer.Argument(help="Names of models.")]) -> None:
    """Download published weights, verify them, and keep them for offline use."""
    from mien import hub
    from mien.cli.output.models import bar

    for name in names:
        path = hub.pull(name, bar(name))
        _say(f"{name}: {path}")


def verify() -> None:
    """Compare every fetched file with its published hash."""
    from mien import hub

    found = hub.verify()
    for name, good in found:
        _say(f"{name}: {'as published' if good else 'damaged; run: mien models pull ' + name}")
    if not found:
        _say("nothing has been fetched yet")
    if not all(good for _, good in found):
        raise typer.Exit(BROKEN)


def add(
    file: Annotated[Path, typer.Argument(help="An .onnx file, or what `bundle` packed.")],
    name: Annotated[str | None, typer.Option(help="What the model is called from now on.")] = None,
    card: Annotated[
        str,
        typer.Option(help='Its card, JSON: {"labels": ["sad", "happy"], "mean": 127.5}.'),
    ] = "",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model of yours that has this name.")
    ] = False,
) -> None:
    """Keep a model of your own under a name, or take in a bundle.

    The model is tried before it is kept, away from its folder, as it will be used.
    """
    import shutil
    import tempfile
    from dataclasses import asdict, replace

    import numpy as np

    from mien import hub
    from mien.errors import InputNotFoundError, ModelError, UsageError
    from mien.expressions.onnx import OnnxClassifier
    from mien.models.card import parse_card

    if file.suffix.lower() != ".onnx":
        for taken in hub.unpack(file):
            own = hub.entry(taken) is None
            _say(f"{taken}: {f'use it as --model {taken}' if own else 'as published'}")
        return
    try:
        fields = parse_card(card, "--card") if card else None
    except ModelError as error:
        raise UsageError(str(error)) from error
    name = name or file.stem
    hub.check_free(name, overwrite)
    if not file.is_file():
        raise InputNotFoundError(f"there is no model file {file}.")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(file, folder))
        if file.with_suffix(".json").is_file():
            shutil.copy(file.with_suffix(".json"), folder)
        try:
            model = OnnxClassifier(copy, fields)
            model.classify(np.zeros((1, model.input_size, model.input_size, 3), np.uint8))
        except ModelError as error:
            raise ModelError(str(error).replace(str(copy), str(file))) from error
    # The card may lie beside the file: all of it goes along, under the name from now on.
    hub.add(file, name, asdict(replace(model.card, name=name)), overwrite=overwrite)
    _say(f"{name}: use it as --model {name}")


def remove(names: Annotated[list[str], typer.Argument(help="Names of models.")]) -> None:
    """Delete models that were fetched or added from this machine."""
    from mien import hub

    for name in names:
        if hub.entry(name) is None:
            hub.remove_own(name)
        else:
            hub.remove(name)
        _say(f"{name}: removed")


def bundle(
    target: Annotated[Path, typer.Argument(help="A folder, or a .tar file.")],
    names: Annotated[list[str] | None, typer.Argument(help="Models; all that are here.")] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Pack models for a machine without a network; `mien models add` takes them in.

    Those that were fetched, and those of your own that were added.
    """
    from mien import hub
    from mien.files import check_new

    if not target.is_dir() and target.suffix == ".tar":
        check_new(target, overwrite=overwrite)
    packed = hub.bundle(names or [], target)
    _say(f"wrote {target}: {', '.join(packed)}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


app.command("list")(told(_list))
for _command in (info, pull, verify, add, remove, bundle):
    app.command(_command.__name__)(told(_command))
