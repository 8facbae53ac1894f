"""The notebook runs, with and without the shared data, and is stored with its outputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "models_in_action.ipynb"


def test_it_is_stored_with_its_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
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
def test_it_runs_in_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_SHARED", str(tmp_path / "nowhere"))
    run(tmp_path)


@pytest.mark.slow
def test_it_runs(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")
    monkeypatch.setenv("MIEN_SHARED", str(shared.resolve()))
    run(tmp_path)


def run(folder: Path) -> None:
    """Execute the notebook in a folder, which must be empty afterwards."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute()
    assert list(folder.iterdir()) == []
