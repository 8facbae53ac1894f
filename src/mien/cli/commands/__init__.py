"""The commands of ``mien``, a file each, and the application that they make up."""

from __future__ import annotations

import typer

from mien.cli.commands import (
    analyze,
    compare,
    demo,
    engagement,
    evaluate,
    export,
    finetune,
    models,
    people,
    report,
    summarize,
    train,
    train_engagement,
    train_head,
    train_video,
    view,
    watch,
)
from mien.cli.exit_codes import told

app = typer.Typer(
    name="mien",
    help="Faces in, a tidy and honest table of apparent facial expressions out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    analyze.analyze,
    compare.compare,
    demo.demo,
    engagement.engagement,
    export.export,
    evaluate.evaluate,
    finetune.finetune,
    people.people,
    report.report,
    summarize.summarize,
    train.train,
    train_engagement.train_engagement,
    train_head.train_head,
    train_video.train_video,
    view.view,
    watch.watch,
):
    app.command(command.__name__.replace("_", "-"))(told(command))
app.add_typer(models.app, name="models")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from mien import __version__

        print(__version__)  # noqa: T201
        raise typer.Exit
