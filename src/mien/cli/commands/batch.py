"""``mien batch``: any number of files, as shards that any number of machines can do."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from mien.cli import options
from mien.cli.command_group import BatchGroup, Command
from mien.cli.exit_codes import SOME_FAILED, extra, with_exit_code
from mien.errors import UsageError

app: typer.Typer = typer.Typer(
    cls=BatchGroup,
    help="""Analyze very many files, on one machine or on many.

    The same command continues where a run was stopped.

    \b
    Examples:
      mien batch photos/ 'videos/**/*.mp4' -o out/
      mien batch merge out/ -o faces.parquet""",
    invoke_without_command=True,
    no_args_is_help=True,
)


class Engine(StrEnum):
    """Where shards are done."""

    here = "here"
    ray = "ray"


Folder = Annotated[str, options.argument("OUT", "The folder of a batch.")]


@app.callback()
def batch() -> None:
    """Analyze very many files, on one machine or on many."""


def run(
    inputs: Annotated[
        list[str],
        options.argument(
            "INPUT",
            "Folders, patterns, images, videos, s3:// and the like; .txt lists of paths; .parquet "
            "tables with paths or images; .tar files with images.",
        ),
    ],
    output: Annotated[
        str, options.option("OUT", "A folder, or s3://bucket/folder.", "-o", "--output")
    ],
    workers: Annotated[
        int | None,
        options.option("N", "Processes.", min=1, default="one per processor"),
    ] = None,
    engine: Annotated[
        Engine,
        options.option("here|ray", "Processes on this machine, or a Ray cluster (RAY_ADDRESS)."),
    ] = Engine.here,
    shard: Annotated[
        str | None,
        options.option(
            "K/N", "Do the K-th of N parts only.", default="of a Slurm array or Kubernetes job"
        ),
    ] = None,
    retry_failed: Annotated[
        bool, options.flag("Do the shards with failed inputs again.", "--retry-failed")
    ] = False,
    plan: Annotated[bool, options.flag("Only list the inputs.", "--plan")] = False,
    column: Annotated[
        str | None,
        options.option("NAME", "Column of paths or images of tables.", default="the usual names"),
    ] = None,
    detector: options.Detector = "yunet",
    model: options.Model = "mien-mobilenet",
    min_score: options.MinScore = None,
    without: options.Without = None,
    fps: options.Fps = None,
    every: options.Every = 1,
    width: options.Width = None,
    affect: options.Affect = False,
    attributes: options.Attributes = "",
    actions: options.Actions = False,
    head: options.Heads = None,
    max_pixels: options.MaxPixels = None,
) -> None:
    """Analyze very many files; the same command continues.

    Exit code 0: all inputs were read; 3: some were not.

    \b
    Examples:
      mien batch run photos/ 'videos/**/*.mp4' -o out/
      mien batch run list.txt -o s3://bucket/out --shard 3/100
    """
    from mien.batch.folder import BatchFolder
    from mien.batch.options import BatchOptions
    from mien.batch.run import Status, begin, share_of, task_of_environment
    from mien.batch.workers import Workers
    from mien.cli.console import note, warn
    from mien.cli.output.batch import batch_progress, listed, show_status
    from mien.labels import ACTIONS, ATTRIBUTES

    flags = {"affect": affect, ACTIONS: actions}
    also = (*options.names(attributes, ATTRIBUTES), *(n for n, asked in flags.items() if asked))
    chosen = BatchOptions(
        detector.lower(), model, min_score, tuple(without or ()), also,
        tuple(str(path.absolute()) for path in head or ()), fps, every, width, max_pixels,
    )  # fmt: skip
    task = _task(shard) or task_of_environment()
    folder = BatchFolder(output)
    made, left_out = begin(folder, inputs, chosen, column, counted=listed, check=task is None)
    if left_out:
        warn(left_out)
    note(f"{made.count:,} inputs in {made.shards:,} shards")
    if plan:
        return
    status = Status.of(folder, made)
    wanted = range(made.shards) if task is None else share_of(*task, made)
    again = set(status.failed) if retry_failed else set()
    allowed = replace(made.options, max_pixels=max_pixels)  # the same images, or more of them
    todo = [number for number in wanted if number not in status.done or number in again]
    if todo and engine is Engine.ray:
        from mien.batch.rays import on_ray

        with extra("ray"):
            batch_progress(on_ray(folder, allowed, todo), len(todo))
    elif todo:
        with Workers(folder, allowed, workers) as running:
            batch_progress(running.run(todo), len(todo))
    failed = show_status(folder, made, Status.of(folder, made), wanted)
    if failed:
        raise typer.Exit(SOME_FAILED)


def status(folder: Folder) -> None:
    """Show how far a batch is, and what failed.

    \b
    Examples:
      mien batch status out/
      mien batch status s3://bucket/out
    """
    from mien.batch.run import Status, read_batch
    from mien.cli.output.batch import show_status

    opened, plan = read_batch(folder)
    show_status(opened, plan, Status.of(opened, plan), range(plan.shards), answers=True)


def merge(
    folder: Folder,
    output: options.RequiredTable,
    partly: Annotated[bool, options.flag("Also where shards are missing.", "--partly")] = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Make one table of a batch.

    Videos that were cut into stretches are joined: people keep their ids.

    \b
    Examples:
      mien batch merge out/ -o faces.parquet
      mien batch merge out/ -o faces.csv --partly
    """
    from mien.batch.merge import merge as merged
    from mien.batch.run import read_batch
    from mien.cli.console import Meter, wrote

    opened, plan = read_batch(folder)
    meter = Meter("merging", "shards")
    wrote(*merged(opened, plan, output, overwrite=overwrite, partly=partly, progress=meter))


def _task(shard: str | None) -> tuple[int, int] | None:
    if shard is None:
        return None
    number, _, of = shard.partition("/")
    if not (number.isdecimal() and of.isdecimal()):
        raise UsageError(f"--shard is a number and a count, such as 3/100, not {shard!r}.")
    return int(number), int(of)


for _command in (run, status, merge):
    app.command(_command.__name__, cls=Command)(with_exit_code(_command))
