"""Cards and files that heads, video models and engagement models share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.engagement import EngagementCard
from mien.errors import InputError, InputNotFoundError, ModelError, UsageError
from mien.expressions.heads import HeadCard
from mien.models.feature_model import FeatureCard
from mien.models.graph import Graph, metadata_of, read_model, weights_of, write_model
from mien.timeline.classifier import VideoCard

pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

SHA = "ab" * 32


def test_cards_of_older_files_are_read() -> None:
    head: dict[str, Any] = {"name": "h", "task": "regression", "columns": ["x"], "model": "m"}
    head |= {"model_sha256": SHA, "d": 7, "figures": {"mae_x": 0.5}, "protocol": ["so"]}
    video: dict[str, Any] = {
        "name": "v",
        "kind": "group",
        "labels": ["a", "b"],
        "size": 7,
        "model": "m",
    }
    video |= {"model_sha256": SHA, "kernel": "rbf", "c": 3.0, "gamma": 0.1}
    engagement: dict[str, Any] = {
        "name": "e",
        "features": 7,
        "features_model": "m",
        "features_sha256": SHA,
    }
    engagement |= {"accuracy": {"mse": 0.1}, "licence": "MIT", "source": "a paper"}
    cards: list[FeatureCard] = [
        HeadCard.from_json(json.dumps(head)),
        VideoCard.from_json(json.dumps(video)),
        EngagementCard.from_json(json.dumps(engagement)),
    ]
    for card in cards:
        assert (card.size, card.model, card.model_sha256) == (7, "m", SHA)
        assert type(card).from_json(card.to_json()) == card
    assert cards[0].figures == {"mae_x": 0.5}
    assert cards[2].figures == {"mse": 0.1}


def test_features_fit_or_a_sentence_says_why_not() -> None:
    card = HeadCard("h", "regression", ("x",), size=7, model="m", model_sha256=SHA)
    assert card.misfit("m", SHA, 7) == card.misfit("", "", None) == ""
    other = card.misfit("n", "cd" * 32)
    assert other.startswith("h was trained on 7 features of m (abababab), not on n (cdcdcdcd)")
    assert "not on 5 features" in card.misfit("m", SHA, 5)
    with pytest.raises(ModelError, match="size of 'h' must be 1 or more"):
        HeadCard("h", "regression", ("x",), size=0)


def doubling(name: str = "twice") -> Graph:
    graph = Graph()
    graph.input("x", ["n", 2])
    graph.add("Mul", ["x", graph.half("factor", np.full(2, 2.0))], name)
    graph.output(name, ["n", 2])
    return graph


def test_a_written_model_is_read_again(tmp_path: Path) -> None:
    path = write_model(doubling().model("net"), tmp_path / "new" / "net.onnx", {"key": "value"})
    model = read_model(path)
    assert metadata_of(model) == {"key": "value"}
    assert weights_of(model)["factor.half"].tolist() == [2, 2]
    assert write_model(model, tmp_path / "b.onnx").read_bytes() == path.read_bytes()
    with pytest.raises(InputNotFoundError, match="no such model file"):
        read_model(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelError, match="is not an ONNX network"):
        read_model(tmp_path / "text.onnx")


def test_a_model_that_fails_its_check_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"older")

    def check(written: Path) -> None:
        assert written.stat().st_size > 50
        raise ModelError("it differs.")

    with pytest.raises(ModelError, match="it differs"):
        write_model(doubling().model("net"), path, check=check)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_bytes() == b"older"
    broken = doubling()
    broken.output("nowhere", ["n"])
    with pytest.raises(ModelError, match=r"network for .*net\.onnx is not valid ONNX"):
        write_model(broken.model("net"), path)


def test_features_of_all_inputs_come_from_one_model() -> None:
    pytest.importorskip("mien.training", reason="onnx is not installed", exc_type=ImportError)
    from mien.training.trained import Origin, check_disjoint, common_origin

    known, unknown = Origin("m", SHA, 7), Origin("", "", 7)
    assert common_origin([("a", unknown), ("b", known), ("c", unknown)]) == known
    with pytest.raises(UsageError, match=r"b and c are of different models \(m abababab and n cd"):
        common_origin([("a", unknown), ("b", known), ("c", Origin("n", "cd" * 32, 7))])
    with pytest.raises(UsageError, match="a and b are of different models"):
        common_origin([("a", unknown), ("b", Origin("", "", 5))])
    with pytest.raises(InputError, match="no input has a face"):
        common_origin([])
    with pytest.raises(InputError, match=r"the group 'x' is in train and in test \(1 such\)"):
        check_disjoint(["x", "y"], ["x"], "list.csv")
