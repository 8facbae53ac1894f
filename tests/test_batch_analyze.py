"""`Analyze` in other people's pipelines."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.batch import Analyze
from mien.errors import UsageError


def test_a_batch_of_anything(photo: Path, astronaut: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"x")
    blank = np.zeros((50, 50, 3), np.uint8)
    values = [str(photo), photo.read_bytes(), {"bytes": photo.read_bytes(), "path": None}]
    values += [astronaut, str(tmp_path / "bad.jpg"), blank]
    batch = {"image": values, "id": list("abcdef")}
    analyze = pickle.loads(pickle.dumps(Analyze("image", keep=["id"], also=("affect",))))
    rows = analyze(batch)
    assert rows["id"].tolist() == list("abcdef")
    assert rows["status"].tolist() == ["ok"] * 4 + ["error", "ok"]
    assert rows["emotion"].tolist()[:4] == ["happiness"] * 4
    assert rows["happiness"].dtype == np.float32
    assert np.isnan(rows["happiness"][4:]).all()
    assert "bad.jpg is a text file" in rows["error"][4]
    assert "valence" in rows
    assert rows["emotion"][5] == rows["error"][0] == ""
    assert rows["fit"][5] is None
    part = pd.DataFrame(batch, index=range(7, 13))  # as the partitions of a larger table
    table = pickle.loads(pickle.dumps(analyze))(part)
    assert table["id"].tolist() == list("abcdef")
    assert table.dtypes.equals(analyze(part.head(0)).dtypes)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == list(rows)
    assert list(rows) == [*analyze.columns, "id"]
    empty = analyze({"image": [], "id": []})
    assert list(empty) == list(rows)
    assert len(empty["source"]) == 0


def test_what_is_wrong_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="no column 'path'; it has image"):
        Analyze()({"image": []})
    with pytest.raises(UsageError, match=r"no such option: .*colour"):
        Analyze(colour=1)
