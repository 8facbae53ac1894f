"""What `mien batch` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from mien.batch.folder import BatchFolder
from mien.batch.manifest import Plan
from mien.batch.run import Status
from mien.batch.workers import Event
from mien.cli.console import Meter, answer, note, verbosity, warn

_NAMED = 20  # failures that are named
ItemT = TypeVar("ItemT")


def listed(items: Iterable[ItemT]) -> Iterator[ItemT]:
    """Pass items on, and show how many there are."""
    meter = Meter("listing", "inputs")
    for count, item in enumerate(items):
        meter(count)
        yield item
    Meter.hide()


def batch_progress(events: Iterable[Event], shards: int) -> None:
    """Show how far the shards are."""
    meter = Meter(unit="shards")
    results: dict[int, int] = {}
    failed = done = finished = 0
    for event in events:
        results[event.shard] = event.results
        if event.record is not None:
            finished += results.pop(event.shard)
            done += 1
            failed += event.record.failed
        what = f"{failed:,} failed," if failed else ""
        meter(done, shards, what=what, count=(finished + sum(results.values()), "images"))
    Meter.hide()


def show_status(
    folder: BatchFolder, plan: Plan, status: Status, wanted: Sequence[int], *, answers: bool = False
) -> int:
    """Say how far a batch is; returns how many inputs of some shards failed."""
    say = answer if answers else note
    done = [number for number in wanted if number in status.done]
    part = Status(len(wanted), {number: status.done[number] for number in done})
    counts = [f"{part.total(name):,} {name}" for name in ("images", "frames", "faces")]
    say(f"{len(done):,} of {len(wanted):,} shards done: {', '.join(counts)}")
    failed = part.total("failed")
    if failed:
        for count, (_, sentence) in enumerate(part.errors()):
            if count == _NAMED and not verbosity.verbose:
                warn("more could not be read; --verbose names all.")
                break
            warn(sentence)
        say(f"{failed:,} inputs could not be read; try them again with --retry-failed")
    elif len(done) == len(wanted) and len(status.done) == plan.shards:
        say(f"one table of all: mien batch merge {folder} -o TABLE.parquet")
    return failed
