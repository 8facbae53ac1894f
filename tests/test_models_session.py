"""Open networks: one for all who use the same file, until that is replaced."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import mien
from mien.models.session import Session


def test_analyzers_of_different_options_share_their_networks() -> None:
    first, second = mien.EmotionAnalyzer(), mien.EmotionAnalyzer(without="contempt", min_score=0.3)
    networks = [analyzer.classifier._net.session for analyzer in (first, second)]  # type: ignore[attr-defined]
    assert networks[0] is networks[1]


def test_a_replaced_file_and_other_threads_are_opened_anew(tmp_path: Path) -> None:
    weights = Path(mien.__file__).parent / "weights"
    path = tmp_path / "net.onnx"
    shutil.copy(weights / "face_blendshapes.onnx", path)
    first, single = Session(path), Session(path, threads=1)
    assert first.session is Session(path).session
    assert first.session is not single.session
    shutil.copy(weights / "mien-mobilenet.onnx", path)
    assert Session(path).session is not first.session


def test_a_network_that_nobody_uses_is_closed(tmp_path: Path) -> None:
    from mien.models.session import _OPEN

    path = tmp_path / "net.onnx"
    shutil.copy(Path(mien.__file__).parent / "weights" / "face_blendshapes.onnx", path)
    opened = Session(path)
    assert opened.session in _OPEN.values()
    del opened
    gc.collect()
    assert not [key for key in _OPEN if key[0] == path.resolve()]
