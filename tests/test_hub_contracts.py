"""Published weights from a server on this machine to a judged face, by what their authors say.

The files of HSEmotion are not at hand: networks of their shape stand in, under the entries of the
hub's list, and the answers are compared with HSEmotion's own preprocessing, written down here.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.server import Handler, serving
from typer.testing import CliRunner

from mien import EmotionAnalyzer, hub, load_classifier
from mien.cli.commands import app
from mien.errors import ModelError
from mien.hub import cache
from mien.hub.cache import extract

EIGHT = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
SEVEN = [label for label in EIGHT if label != "contempt"]
#: Side, labels, and whether valence and arousal come after them.
CONTRACTS = {
    "enet_b0_8_best_vgaf": (224, EIGHT, False),
    "enet_b0_8_best_afew": (224, EIGHT, False),
    "enet_b2_8": (260, EIGHT, False),
    "enet_b2_7": (260, SEVEN, False),
    "enet_b0_8_va_mtl": (224, EIGHT, True),
    "mobilevit_va_mtl": (224, EIGHT, True),
    "mbf_va_mtl": (112, EIGHT, True),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Handler]]:
    with serving() as (kind, mirror):
        monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("MIEN_MIRROR", mirror)
        yield kind


def network(side: int, kernel: np.ndarray, bias: np.ndarray) -> bytes:
    """``(n, 3, side, side)`` to scores: a linear layer on the mean of each channel."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra keras)")
    helper, value, kind = onnx.helper, onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "kernel", "bias"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [value("input", kind, ["n", 3, side, side])],
        [value("output", kind, ["n", len(bias)])],
        [onnx.numpy_helper.from_array(v, k) for k, v in {"kernel": kernel, "bias": bias}.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(model.SerializeToString())


def prepared(name: str, crops: np.ndarray) -> np.ndarray:
    """As HSEmotion does it: RGB as shares of 1, less ImageNet's mean, over its deviation."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    if name.startswith("mbf_"):
        mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    return np.asarray((crops / 255 - mean) / std)


def test_every_entry_of_hsemotion_has_its_contract_here() -> None:
    assert {e.name for e in hub.ENTRIES if e.source.startswith("HSEmotion")} == {
        *CONTRACTS,
        "mobilenet_7",  # tests/test_hub_keras.py
    }


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_network_of_the_contract_is_downloaded_and_predicts(
    name: str,
    server: type[Handler],
    photo: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    side, labels, with_measures = CONTRACTS[name]
    k = len(labels)
    kernel = rng.normal(0, 2, (3, k + 2 * with_measures)).astype(np.float32)
    bias = np.asarray(rng.normal(0, 1, k + 2 * with_measures), np.float32)
    data = network(side, kernel, bias)
    server.others[f"{name}.onnx"] = data
    known = replace(hub.find(name), pin=hashlib.sha256(data).hexdigest(), size=len(data))
    monkeypatch.setattr(cache, "ENTRIES", (known,))
    done = CliRunner().invoke(app, ["models", "pull", name])
    assert done.exit_code == 0, done.output
    assert hub.verify() == [(name, True)]

    model = load_classifier(name)
    assert (model.input_size, list(model.labels)) == (side, labels)
    colors = rng.integers(0, 256, (5, 1, 1, 3))
    crops = np.clip(colors + rng.integers(-30, 30, (5, side, side, 3)), 0, 255).astype(np.uint8)
    scores = model.classify(crops)
    wanted = prepared(name, crops).mean(axis=(1, 2)) @ kernel + bias
    shares = np.exp(wanted[:, :k])
    shares /= shares.sum(axis=1, keepdims=True)
    assert scores.values == pytest.approx(shares, abs=1e-4)
    assert np.ptp(shares, axis=0).max() > 0.3, "the answers differ from face to face"
    assert list(scores.measures) == (["valence", "arousal"] if with_measures else [])
    for column, measure in enumerate(scores.measures, k):
        assert scores.measures[measure] == pytest.approx(wanted[:, column], abs=1e-3)

    table: Any = EmotionAnalyzer([[20, 20, 120, 120]], name)(photo).to_dataframe()
    assert len(table) == 1
    assert table[labels].sum(axis=1).iloc[0] == pytest.approx(1, abs=1e-4)
    assert ("valence" in table and "arousal" in table) == with_measures


def test_a_real_file_from_a_server_predicts(
    shared: Path, server: type[Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published file at hand, under the name, size and pin of the list."""
    files = {
        "mobilefacenet-fer-int8": "facial_expression_recognition_mobilefacenet_2022july_int8.onnx",
    }
    server.others |= {f"{n}.onnx": (shared / "models" / f).read_bytes() for n, f in files.items()}
    server.cuts = 1
    monkeypatch.setattr("mien.hub.downloads._WAIT_S", 0.01)
    done = CliRunner().invoke(app, ["models", "pull", *files])
    assert done.exit_code == 0, done.output
    assert len(server.asked) == 2, "once, and again because it was cut off"
    assert sorted(hub.verify()) == [("mobilefacenet-fer-int8", True)]
    analyzer = EmotionAnalyzer("yunet", "mobilefacenet-fer-int8")
    assert analyzer(shared / "media" / "photos" / "astronaut.png").emotions == ("happy",)
    done = CliRunner().invoke(app, ["models"])
    assert "mobilefacenet-fer-int8" in done.output
    assert "Apache-2.0" in done.output


def test_an_archive_gives_its_members_and_goes_along(
    server: type[Handler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What trainings start from, with other bytes in the archive."""
    members = hub.find("faceres").members
    box = io.BytesIO()
    with tarfile.open(fileobj=box, mode="w:gz") as package:
        for member in (*members, "package/more.js"):
            info = tarfile.TarInfo(member)
            info.size = len(member)
            package.addfile(info, io.BytesIO(member.encode()))
    data = box.getvalue()
    server.others["faceres.tgz"] = data
    known = replace(hub.find("faceres"), pin=hashlib.sha256(data).hexdigest(), size=len(data))
    others = tuple(other for other in hub.ENTRIES if other.name != "faceres")
    monkeypatch.setattr(cache, "ENTRIES", (*others, known))
    run = CliRunner().invoke
    with pytest.raises(ModelError, match="run: mien models pull faceres"):
        hub.path_of("faceres")
    assert run(app, ["models", "pull", "faceres"]).exit_code == 0
    folder = hub.path_of("faceres").parent
    read = {path.name: path.read_bytes() for path in folder.iterdir() if "made" not in path.name}
    wanted = {Path(member).name: member.encode() for member in members}
    assert read == {"faceres.tgz": data, **wanted}
    (folder / "faceres.bin").write_bytes(b"other")
    assert hub.verify() == [("faceres", False)]
    assert run(app, ["models", "pull", "faceres"]).exit_code == 0
    assert hub.verify() == [("faceres", True)]
    assert len(server.asked) == 1, "the archive was here, and good"
    assert run(app, ["models", "bundle", str(tmp_path / "box.tar")]).exit_code == 0
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "elsewhere"))
    assert hub.unpack(tmp_path / "box.tar") == ["faceres"]
    assert hub.path_of("faceres").with_name("faceres.bin").read_bytes() == wanted["faceres.bin"]
    output = run(app, ["models", "list"]).output
    assert "to start a training from: faceres" in output


def test_a_training_downloads_nothing(server: type[Handler], tmp_path: Path) -> None:
    """Without the face network, one sentence says what to run."""
    pytest.importorskip("torch", reason="training needs the extra train")
    from mien.training.expressions.recipe import load_recipe
    from mien.training.expressions.train import starting_network

    recipe = load_recipe(Path(__file__).parents[1] / "recipes" / "mien-mobilenet.toml")
    nothing: Any = None
    with pytest.raises(ModelError, match="run: mien models pull faceres"):
        starting_network(recipe, nothing, None)
    assert server.asked == []


def test_an_archive_without_its_members_is_an_error(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "box.tgz", "w:gz") as package:
        package.addfile(tarfile.TarInfo("else"))
    for data in ((tmp_path / "box.tgz").read_bytes(), b"no archive"):
        (tmp_path / "box.tgz").write_bytes(data)
        with pytest.raises(ModelError, match=r"box.tgz does not contain a/b.bin"):
            extract(tmp_path / "box.tgz", ["a/b.bin"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["box.tgz"]
