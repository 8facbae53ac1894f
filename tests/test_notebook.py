"""The notebook runs as it stands, and what is stored of it is what a reader sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "models_in_action.ipynb"


def test_it_is_stored_with_its_outputs() -> None:
    told = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in told["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    kinds = [
        kind for cell in cells for out in cell["outputs"] for kind in out.get("data", {"text": ""})
    ]
    assert kinds.count("image/png") >= 5
    assert "text/html" in kinds
    assert not any(out["output_type"] == "error" for cell in cells for out in cell["outputs"])
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert "/home/" not in text
    assert str(NOTEBOOK.parents[1]) not in text
    assert NOTEBOOK.stat().st_size < 8_000_000


@pytest.mark.slow
def test_it_runs(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")
    monkeypatch.setenv("MIEN_SHARED", str(shared.resolve()))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    assert list(tmp_path.iterdir()) == []  # what it made, it removed
