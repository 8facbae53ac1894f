"""A batch from its arguments to its tables: begun once, continued as often as need be."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien.batch.folder import BatchFolder
from mien.batch.listing import Listing
from mien.batch.manifest import MANIFEST, PLAN, Item, Plan, digest_of, write_manifest
from mien.batch.options import BatchOptions
from mien.batch.shard import DONE, Record
from mien.errors import InputError, UsageError

#: Shows how many inputs have been listed.
Counted = Callable[[Iterable[Item]], Iterable[Item]]


def begin(
    folder: BatchFolder,
    inputs: Sequence[str],
    options: BatchOptions,
    column: str | None = None,
    *,
    counted: Counted = iter,
    check: bool = True,
) -> tuple[Plan, str]:
    """Begin a batch, or find the one that was begun, and make sure that it is the same.

    Args:
        folder: where it lies.
        inputs: as of `mien.batch.listing.Listing`.
        options: how they are analyzed.
        column: of tables with paths or images.
        counted: shows progress.
        check: list the inputs of a batch that was begun again, to find out whether they changed;
            else only the arguments must be the same.

    Returns:
        the plan, and what was left out, in a sentence.

    Raises:
        UsageError: the folder has other files, or another batch.
        InputError: there is nothing among the inputs.
    """
    settings = {**options.analyzer(1).settings.to_metadata(), "frames": options.frames_setting}
    places = tuple(_absolute(item) for item in inputs)
    listing = Listing(places, column, options.fps)
    known = Plan.read(folder)
    if known is None:
        folder.check_free()
        known = _planned(folder, places, options, settings, counted(listing))
        return known, listing.left_out
    for name in {**known.settings, **settings}:
        old, new = known.settings.get(name, "none"), settings.get(name, "none")
        if old != new:
            what = name.replace("_", " ")
            raise UsageError(
                f"{folder} was begun with another {what} ({old}, now {new}): choose a new folder."
            )
    if not check and places != known.inputs:
        raise UsageError(
            f"{folder} was begun with {', '.join(known.inputs)}: give the same inputs, or choose a "
            "new folder."
        )
    if check:
        count, digest = digest_of(counted(listing))
        if digest != known.digest:
            raise UsageError(
                f"{folder} was begun with other inputs ({known.count:,}, now {count:,}): choose a "
                "new folder, or put them back."
            )
    return known, listing.left_out


def _planned(
    folder: BatchFolder,
    inputs: tuple[str, ...],
    options: BatchOptions,
    settings: dict[str, str],
    items: Iterable[Item],
) -> Plan:
    with tempfile.TemporaryDirectory(prefix="mien-") as temporary:
        path = Path(temporary) / MANIFEST
        count, shards, digest = write_manifest(path, items)
        if not count:
            raise InputError("there are no images or videos among the inputs.")
        plan = Plan(inputs, options, settings, count, shards, digest)
        # Whoever was quicker has written the same, or says now that it was something else.
        if (other := Plan.read(folder)) is not None:
            if other.digest != digest or other.settings != settings:
                raise UsageError(f"{folder} was just begun with other inputs or settings.")
            return other
        folder.write(MANIFEST, path)
        folder.write(PLAN, plan.to_json())
    return plan


def _absolute(item: str) -> str:
    """A path that other machines and later calls understand, too."""
    return item if "://" in item else os.path.abspath(os.path.expanduser(item))


def share_of(number: int, of: int, plan: Plan) -> list[int]:
    """The shards of one task of several, counted from 1: every `of`-th.

    Raises:
        UsageError: there is no such task.
    """
    if not 1 <= number <= of:
        raise UsageError(f"the shard must be 1/{of} to {of}/{of}, got {number}/{of}.")
    return list(range(number - 1, plan.shards, of))


def task_of_environment() -> tuple[int, int] | None:
    """Which task this is, as job schedulers number them: ``(number from 1, count)``.

    Slurm arrays, and indexed jobs of Kubernetes, whose count is in ``JOB_COMPLETIONS``.

    Raises:
        UsageError: the numbers make no sense.
    """
    env = os.environ
    try:
        if "SLURM_ARRAY_TASK_ID" in env:
            first = int(env.get("SLURM_ARRAY_TASK_MIN", "0"))
            step = int(env.get("SLURM_ARRAY_TASK_STEP", "1"))
            count = int(env["SLURM_ARRAY_TASK_COUNT"])
            return (int(env["SLURM_ARRAY_TASK_ID"]) - first) // step + 1, count
        if "JOB_COMPLETION_INDEX" in env and "JOB_COMPLETIONS" in env:
            return int(env["JOB_COMPLETION_INDEX"]) + 1, int(env["JOB_COMPLETIONS"])
    except (KeyError, ValueError) as error:
        raise UsageError(f"the environment has no usable number of this task: {error}.") from error
    return None


@dataclass
class Status:
    """How far a batch is.

    Attributes:
        shards: how many there are.
        done: the records of those that are done, by number.
    """

    shards: int
    done: dict[int, Record] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: BatchFolder, plan: Plan) -> Status:
        """Read the records of a batch."""
        status = cls(plan.shards)
        for name in folder.names(DONE):
            number = name.removesuffix(".json")
            if number.isdecimal() and (record := Record.read(folder, int(number))):
                status.done[int(number)] = record
        return status

    @property
    def missing(self) -> list[int]:
        """The shards that are not done."""
        return [shard for shard in range(self.shards) if shard not in self.done]

    @property
    def failed(self) -> list[int]:
        """The shards with inputs that failed."""
        return sorted(shard for shard, record in self.done.items() if record.failed)

    def total(self, name: str) -> int:
        """The sum of a count over all records, such as ``faces``."""
        return sum(int(getattr(record, name)) for record in self.done.values())

    def errors(self) -> Iterator[tuple[str, str]]:
        """Inputs that failed, with their sentences, as far as the records keep them."""
        for shard in sorted(self.done):
            yield from self.done[shard].errors.items()


def read_batch(root: str) -> tuple[BatchFolder, Plan]:
    """A batch that was begun.

    Raises:
        UsageError: the folder is none of a batch.
    """
    folder = BatchFolder(root)
    plan = Plan.read(folder)
    if plan is None:
        raise UsageError(
            f"{root} is not the folder of a batch: begin one with mien batch INPUT -o {root}."
        )
    return folder, plan
