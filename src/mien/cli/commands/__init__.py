"""The commands of ``mien``, a file each, and the application that they make up."""

from __future__ import annotations

from collections.abc import Callable

import typer

from mien.cli.command_group import Command, CommandGroup
from mien.cli.commands import (
    analyze,
    batch,
    compare,
    demo,
    engagement,
    evaluate,
    export,
    finetune,
    models,
    people,
    report,
    serve,
    summarize,
    train,
    train_engagement,
    train_head,
    train_video,
    view,
    watch,
    worker,
)
from mien.cli.exit_codes import with_exit_code

_GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Analyze": (analyze.analyze, watch.watch, summarize.summarize, demo.demo),
    "Look": (view.view, report.report, export.export),
    "People": (people.people, engagement.engagement),
    "Measure": (evaluate.evaluate, compare.compare),
    "Serve": (serve.serve, worker.worker),
    "Train": (
        train.train,
        finetune.finetune,
        train_head.train_head,
        train_video.train_video,
        train_engagement.train_engagement,
    ),
}

app: typer.Typer = typer.Typer(
    name="mien",
    cls=CommandGroup,
    help="Find faces in images and video, and predict their apparent expressions.",
    epilog="""\b
Examples:
  mien analyze holiday/ -o faces.csv
  mien COMMAND --help""",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _group, _commands in _GROUPS.items():
    for _command in _commands:
        _name = _command.__name__.replace("_", "-")
        app.command(_name, cls=Command, rich_help_panel=_group)(with_exit_code(_command))
app.add_typer(batch.app, name="batch", rich_help_panel="Analyze")
app.add_typer(models.app, name="models", rich_help_panel="Models")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from mien import __version__
        from mien.cli.console import answer

        answer(__version__)
        raise typer.Exit
