"""A storm of damaged and hostile inputs: images, videos, models with their cards, and tables.

    python benchmarks/storm.py [--images 2000 --videos 300 --models 300 --tables 500] [--seed 7]
                               [--keep FOLDER] [--jobs 2] [--shared ../shared]

Each case is one command on one mutated input, in its own process. It fails if it prints a
traceback or the sentence that stands for one, ends by a signal or with an exit code that is not
documented, takes more than 20 s of the processor (or 120 s by the clock), or more than 1.5 GB of
memory. Cases that fail are stored with their input in FOLDER; the same seed gives the same storm.
Originals are made by `storm_originals.py`; with ``--shared``, the photos, formats and videos of
that folder are among them.

Cases are forked from this process, which has imported what they need and done nothing else: a
fork copies one thread, so locks held by any other would stay locked. Hence another process makes
the inputs (`storm_cases.py`), and libraries that start threads on import are kept from it.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storm_cases import Case

SECONDS, PATIENCE_S, BYTES = 20, 120, 1_500_000_000
DOCUMENTED = (0, 2, 3, 4)
COUNTS = {"images": 2000, "videos": 300, "models": 300, "tables": 500}
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


@dataclass(frozen=True)
class Outcome:
    """How a case ended: `fault` is "" where it passed, `refused` where it did with an error."""

    case: Case
    fault: str
    refused: bool
    seconds: float
    peak: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the storm; the exit code is 1 where a case failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind, count in COUNTS.items():
        parser.add_argument(f"--{kind}", type=int, default=count)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "storm"))
    parser.add_argument("--shared", type=Path, default=None)
    options = parser.parse_args(arguments)
    # Not a context manager: a forked process that exits would clean up, too.
    work = Path(tempfile.mkdtemp())
    os.environ.update(ONE_THREAD)
    os.environ["MIEN_CACHE"] = str(work / "cache")
    cases = _make_cases(work, options)
    _import_libraries()
    outcomes = list(_run_all(cases, work, options.jobs, options.keep))
    shutil.rmtree(work, ignore_errors=True)
    _report(outcomes)
    return int(any(outcome.fault for outcome in outcomes))


def _make_cases(work: Path, options: argparse.Namespace) -> list[Case]:
    """Write all inputs in another process: it uses libraries that start threads."""
    from storm_cases import make_cases

    counts = {kind: getattr(options, kind) for kind in COUNTS}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(make_cases, work, options.shared, options.seed, counts).result()


def _import_libraries() -> None:
    """Import what every case needs, so that a forked process has it already."""
    import cv2  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    import mien.analyzer
    import mien.cli
    import mien.models.session
    import mien.timeline.timeline  # noqa: F401

    threads = len(os.listdir("/proc/self/task"))
    assert threads == 1, f"{threads} threads: a fork would copy only one"


def _run_all(cases: Sequence[Case], work: Path, jobs: int, keep: Path) -> Iterator[Outcome]:
    """Run the cases, `jobs` at a time, in their order as far as that goes."""
    running: dict[int, Case] = {}
    waiting = collections.deque(cases)
    while waiting or running:
        while waiting and len(running) < jobs:
            case = waiting.popleft()
            running[_start(case, work / case.name)] = case
        child, status, used = os.wait4(-1, 0)
        if child not in running:
            continue
        case = running.pop(child)
        folder = work / case.name
        text = (folder / "output").read_text("utf-8", "replace")
        seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
        fault = _fault(status, text, peak)
        if fault:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copytree(folder, keep / case.name, dirs_exist_ok=True)
            print(f"{case.name}: {fault}: mien {' '.join(case.command)}", flush=True)
            print("    " + (text.strip().splitlines() or [""])[-1][:200], flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        refused = not fault and os.WEXITSTATUS(status) != 0
        yield Outcome(case, fault, refused, seconds, peak)


def _start(case: Case, folder: Path) -> int:
    """Fork a process that runs the command as a new interpreter would, to its very end."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE_S)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (2 * BYTES, 2 * BYTES))
    sys.argv = ["mien", *case.command]
    from mien.cli import main as command

    command()  # ends in SystemExit, as the installed command does
    sys.exit(0)


def _fault(status: int, output: str, peak: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hang = number in (signal.SIGALRM, signal.SIGXCPU)
        return "hang" if hang else f"signal {signal.Signals(number).name}"
    if "Traceback (most recent call last)" in output:
        return "traceback"
    if "this is a bug of mien" in output:
        return "unforeseen exception"
    code = os.WEXITSTATUS(status)
    if code not in DOCUMENTED:
        return f"exit code {code}"
    return f"{peak / 1e6:.0f} MB" if peak > BYTES else ""


def _report(outcomes: Sequence[Outcome]) -> None:
    print("\n| inputs | cases | refused | failed | longest, CPU s | peak, MB |")
    print("|---|--:|--:|--:|--:|--:|")
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        kinds.setdefault(outcome.case.name.rstrip("0123456789"), []).append(outcome)
    for kind, part in kinds.items():
        failed = sum(bool(outcome.fault) for outcome in part)
        longest = max(outcome.seconds for outcome in part)
        peak = max(outcome.peak for outcome in part) / 1e6
        refused = sum(outcome.refused for outcome in part)
        print(f"| {kind}s | {len(part)} | {refused} | {failed} | {longest:.1f} | {peak:.0f} |")
    faults = collections.Counter(outcome.fault.split(" MB")[0] for outcome in outcomes)
    faults.pop("", None)
    for fault, count in faults.most_common():
        print(f"- {fault}: {count}")


if __name__ == "__main__":
    sys.exit(main())
