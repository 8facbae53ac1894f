"""A disk that is full: no half-written table takes the place of a whole one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.results import frame_result, mostly

from mien.results.files import SUFFIXES
from mien.timeline.timeline import Timeline

FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from helpers.results import Run, frame_result, mostly
from mien.errors import UsageError
from mien.labels import EMOTIONS
from mien.sinks.checkpoint import Checkpoint, Plan
from mien.sinks.tables import TableSink
from mien.results import tables
tables._ROWS_AT_ONCE = 8
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in sys.argv[4:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    path = Path(sys.argv[1], limit, sys.argv[2])
    try:
        with TableSink(path, Run(EMOTIONS), overwrite=True) as sink:
            for i in range(200):
                sink.write(frame_result(i / 10, {1: mostly("anger", i / 200)}, index=i))
    except UsageError as error:
        print(limit, error)
"""
LIMITS = ["0", "6000", "14000", "25000"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of files")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_no_torso(tmp_path: Path, suffix: str) -> None:
    name = f"t{suffix}"
    older = Timeline.from_results([frame_result(0.0, {1: mostly("fear")})])
    before = {}
    for limit in LIMITS:
        (tmp_path / limit).mkdir()
        older.save(tmp_path / limit / name)
        before[limit] = {p: p.read_bytes() for p in (tmp_path / limit).iterdir()}
    words = [str(tmp_path), name, str(Path(__file__).parent), *LIMITS]
    command = [sys.executable, "-c", FULL, *words]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    full = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert "0" in full
    for limit in LIMITS:
        path = tmp_path / limit / name
        partial = path.with_name(f"{name}.partial")
        if limit not in full:
            assert len(Timeline.load(path).images) == 200
            assert not partial.exists()
            continue
        assert f"{suffix} cannot be written: File too large." in full[limit]
        assert {p: p.read_bytes() for p in before[limit]} == before[limit]
        assert len(Timeline.load(path).images) == 1
        if partial.exists() and partial.stat().st_size > 6_000:  # more than its head
            kept = Timeline.load(partial)
            assert kept.images["frame"].tolist() == list(range(len(kept.images)))
            assert kept.faces["anger"].tolist() == pytest.approx(
                [i / 200 for i in range(len(kept.faces))], abs=1e-6
            )
