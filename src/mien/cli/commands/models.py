"""``mien models``: what is installed, what can be downloaded, licenses and accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.command_group import Command, ModelsGroup
from mien.cli.console import Meter, note, wrote
from mien.cli.exit_codes import BROKEN, with_exit_code

app: typer.Typer = typer.Typer(
    cls=ModelsGroup,
    help="""List, download, add and remove models.

    Without a command: list those that are installed.

    \b
    Examples:
      mien models
      mien models pull mobilefacenet-fer""",
    invoke_without_command=True,
)

Names = Annotated[list[str], options.argument("NAME", "Names of models.")]


@app.callback()
def models(context: typer.Context) -> None:
    """List, download, add and remove models."""
    if context.invoked_subcommand is None:
        with_exit_code(_list)()


def _list() -> None:
    """List installed models and what can be downloaded.

    \b
    Examples:
      mien models list
      mien models ls
    """
    from mien.cli.output.models import show_models

    show_models()


def info(name: Annotated[str, options.argument("NAME", "Name of a model.")]) -> None:
    """Show the card of a model.

    \b
    Examples:
      mien models info mien-mobilenet
      mien models info mobilefacenet-fer
    """
    from mien.cli.output.models import show_info

    show_info(name)


def pull(names: Names) -> None:
    """Download models for offline use.

    Each file is compared with its published hash.

    \b
    Examples:
      mien models pull mobilefacenet-fer
      mien models pull enet_b2_8 faceres
    """
    from mien import hub

    for name in names:
        note(f"{name}: {hub.pull(name, Meter(name, 'MB', scale=1e6))}")


def verify() -> None:
    """Compare downloaded files with their hashes.

    \b
    Examples:
      mien models verify
      mien models verify --quiet
    """
    from mien import hub

    files = hub.verify()
    for name, good in files:
        note(f"{name}: {'as published' if good else 'damaged; run: mien models pull ' + name}")
    if not files:
        note("nothing has been downloaded yet")
    if not all(good for _, good in files):
        raise typer.Exit(BROKEN)


def add(
    file: Annotated[
        Path, options.argument("FILE", "An .onnx file, or a bundle of `models bundle`.")
    ],
    name: Annotated[
        str | None, options.option("NAME", "Name to register it under.", default="that of the file")
    ] = None,
    card: Annotated[
        str,
        options.option(
            "JSON",
            'Its card: {"labels": ["sad", "happy"], "mean": 127.5}.',
            default="the file's, or NAME.json beside it",
        ),
    ] = "",
    overwrite: Annotated[
        bool, options.flag("Replace your model of this name.", "--overwrite")
    ] = False,
) -> None:
    """Register your own model, or import a bundle.

    The model is tried before it is copied.

    \b
    Examples:
      mien models add mine.onnx --name mine
      mien models add bundle.tar
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
        for added in hub.unpack(file):
            own = hub.entry(added) is None
            note(f"{added}: {f'use it as --model {added}' if own else 'as published'}")
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
    note(f"{name}: use it as --model {name}")


def remove(names: Names) -> None:
    """Delete downloaded or added models.

    \b
    Examples:
      mien models remove mobilefacenet-fer
      mien models rm mine
    """
    from mien import hub

    for name in names:
        if hub.entry(name) is None:
            hub.remove_own(name)
        else:
            hub.remove(name)
        note(f"{name}: removed")


def bundle(
    target: Annotated[Path, options.argument("TARGET", "A folder, or a .tar file.")],
    names: Annotated[
        list[str] | None, options.argument("NAME", "Models.", default="all downloaded or added")
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Pack models for a machine without a network.

    There, `mien models add` imports them.

    \b
    Examples:
      mien models bundle bundle.tar
      mien models bundle bundle.tar mobilefacenet-fer mine
    """
    from mien import hub
    from mien.files import check_new

    if not target.is_dir() and target.suffix == ".tar":
        check_new(target, overwrite=overwrite)
    packed = hub.bundle(names or [], target)
    wrote(f"{target}: {', '.join(packed)}")


app.command("list", cls=Command)(with_exit_code(_list))
for _command in (info, pull, verify, add, remove, bundle):
    app.command(_command.__name__, cls=Command)(with_exit_code(_command))
