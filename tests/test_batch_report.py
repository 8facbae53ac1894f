"""The page about a batch counts what is in its tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from helpers.batches import photos, run
from helpers.command import run_mien

from mien.batch import Status, manifest, read_batch
from mien.batch.report import count_batch, write_batch_report
from mien.errors import UsageError


def test_counts_by_folder_and_reasons(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "IMAGES", 3)
    photos(tmp_path / "in/a", photo, 4)
    photos(tmp_path / "in/b", photo, 2)
    for number in (7, 18):
        (tmp_path / f"in/b/bad{number}.jpg").write_bytes(b"x" * number)
    run(tmp_path / "out", tmp_path / "in")
    folder, plan = read_batch(str(tmp_path / "out"))
    counts = count_batch(folder, Status.of(folder, plan))
    a, b = str(tmp_path / "in/a"), str(tmp_path / "in/b")
    assert dict(counts.images) == {a: 4, b: 2}
    assert {name: dict(found) for name, found in counts.expressions.items()} == {
        a: {"happiness": 4},
        b: {"happiness": 2},
    }
    assert counts.failed == {b: 2}
    assert list(counts.reasons.values()) == [2]
    ran = run_mien("report", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    page = (tmp_path / "out.html").read_text()
    assert len(re.findall(r"<img src=\"data:image/jpeg", page)) == 6
    assert "2</td>" in page
    assert "http" not in page.replace("http-equiv", "")


def test_groups_by_a_column_of_the_inputs(photo: Path, tmp_path: Path) -> None:
    photos(tmp_path / "in", photo, 3)
    table = pd.DataFrame({"path": [f"in/{n}.jpg" for n in range(3)], "site": ["x", "y", "x"]})
    table.to_parquet(tmp_path / "study.parquet")
    run(tmp_path / "out", tmp_path / "study.parquet")
    batch = read_batch(str(tmp_path / "out"))
    page = write_batch_report(*batch, tmp_path / "page.html", "site").read_text()
    assert re.findall(r"<tr><td>(\w)</td><td>(\d)</td>", page) == [("x", "2"), ("y", "1")]
    with pytest.raises(UsageError, match="has a column 'city'"):
        write_batch_report(*batch, tmp_path / "page.html", "city")
