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
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
path = Path(sys.argv[1])
try:
    with TableSink(path, Run(EMOTIONS), overwrite=True) as sink:
        for i in range(200):
            sink.write(frame_result(i / 10, {1: mostly("anger", i / 200)}, index=i))
except UsageError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of files")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("limit", [0, 6_000, 14_000, 25_000])
def test_a_full_disk_leaves_no_torso(tmp_path: Path, suffix: str, limit: int) -> None:
    path = tmp_path / f"t{suffix}"
    older = Timeline.from_results([frame_result(0.0, {1: mostly("fear")})]).save(path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    command = [sys.executable, "-c", FULL, str(path), str(limit), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    partial = path.with_name(f"{path.name}.partial")
    if not done.stdout:
        assert len(Timeline.load(path).images) == 200
        assert not partial.exists()
        return
    assert f"{suffix} cannot be written: File too large." in done.stdout
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert len(Timeline.load(older).images) == 1
    if partial.exists() and partial.stat().st_size > 6_000:  # more than its head
        kept = Timeline.load(partial)
        assert kept.images["frame"].tolist() == list(range(len(kept.images)))
        assert kept.faces["anger"].tolist() == pytest.approx(
            [i / 200 for i in range(len(kept.faces))], abs=1e-6
        )
