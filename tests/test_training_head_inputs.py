"""Heads that learn from facial actions and head pose: trained, saved, read, used in an analysis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien import EmotionAnalyzer, load_classifier
from mien.errors import InputError, ModelError, UsageError
from mien.expressions.heads import INPUT_COLUMNS, Head, HeadCard, input_columns, ordered_inputs
from mien.labels import ACTIONS
from mien.models.session import file_sha256
from mien.testing import check_classifier
from mien.types import FloatArray, Image

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")

from helpers.actions import acted, smile  # noqa: E402
from helpers.command import mien as run  # noqa: E402
from helpers.heads import QUIET, color_network, figures, labeled_rows  # noqa: E402
from helpers.results import frame_result, mostly  # noqa: E402

from mien.timeline.timeline import Timeline  # noqa: E402
from mien.training.heads.data import Selection, load_rows  # noqa: E402
from mien.training.heads.features import read_features  # noqa: E402
from mien.training.heads.train import HeadRecipe, train_head  # noqa: E402
from mien.types import Crops  # noqa: E402

ALL = ("features", "actions", "pose")
NO_FACE = [300.0, 300.0, 480.0, 480.0]
FACE = [181.0, 64.0, 265.0, 171.0]


def grins(n: int = 1500) -> tuple[FloatArray, FloatArray]:
    """Inputs of all kinds for a model of three features, and whether both sides smile."""
    rng = np.random.default_rng(3)
    columns = input_columns(ALL)
    values = rng.random((n, 3 + len(columns))).astype(np.float32)
    values[:, -3:] = 40 * values[:, -3:] - 20
    sides = [3 + columns.index(f"mouthSmile{side}") for side in ("Left", "Right")]
    return values, (values[:, sides].mean(axis=1) > 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return color_network(tmp_path_factory.mktemp("model") / "colors.onnx")


def trained(path: Path, model: Path, task: str, inputs: tuple[str, ...]) -> Head:
    """A head that finds smiles; its figures are checked."""
    values, truth = grins()
    columns = ("grin",) if task == "multilabel" else ("other", "grin")
    labels = truth[:, None] if task == "multilabel" else np.stack([1 - truth, truth], axis=1)
    kept = values if "features" in inputs else values[:, 3:]
    kept = kept if "pose" in inputs else kept[:, :-3]
    rows = replace(
        labeled_rows(labels, columns, kept),
        model="colors",
        sha256=file_sha256(model),
        inputs=inputs,
    )
    recipe = HeadRecipe(task, hidden=0, rounds=8, lr=1e-2)  # type: ignore[arg-type]
    done = train_head(rows, recipe, path, **QUIET)
    found = figures(done)
    assert found["f1_grin" if task == "multilabel" else "macro_f1"] > 0.9
    return Head(done.path)


def test_a_head_knows_what_it_needs(tmp_path: Path, model: Path) -> None:
    head = trained(tmp_path / "grin.onnx", model, "multilabel", ALL)
    assert head.card.inputs == ALL
    assert head.card.size == 3 + len(INPUT_COLUMNS[ACTIONS]) + 3
    assert head.card.filling == pytest.approx([0.5] * 54 + [0] * 3, abs=0.7)
    assert head.summary["inputs"] == list(ALL)
    assert HeadCard.from_json(head.card.to_json()) == head.card
    with pytest.raises(ModelError, match=r"takes 3 features of colors and 57 of features and act"):
        head.values(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("inputs", [ALL, ("actions",)])
def test_an_analysis_gives_it_actions(
    tmp_path: Path, model: Path, astronaut: Image, inputs: tuple[str, ...]
) -> None:
    head = trained(tmp_path / "grin.onnx", model, "multilabel", inputs)
    boxes = np.array([NO_FACE, FACE], np.float32)
    analyzer = EmotionAnalyzer(boxes, model, heads=[head.path], threads=1)
    assert "actions" in analyzer.settings.also
    assert {"AU12", "grin", "grin_present"} <= set(analyzer.measures)
    result = analyzer(astronaut)
    assert result.scores.labels == ("neutral", "happiness", "sadness")  # the model's own
    found = result.scores.measures
    assert np.isnan([found["grin"][0], found["grin_present"][0]]).all()  # there is no mesh
    assert found["grin"][1] > 0.8
    assert found["grin_present"][1] == 1
    assert result.scores.embeddings == {}
    table = result.to_dataframe()
    assert table["grin"].notna().tolist() == [False, True]
    streamed = list(analyzer.analyze([astronaut, astronaut]))  # in batches
    for one in streamed:
        assert one.scores.measures["grin"][1] == pytest.approx(float(found["grin"][1]), abs=1e-5)


def test_an_expression_head_replaces_labels_and_has_no_missing_values(
    tmp_path: Path, model: Path, astronaut: Image
) -> None:
    head = trained(tmp_path / "e.onnx", model, "expression", ("actions",))
    boxes = np.array([NO_FACE, FACE], np.float32)
    result = EmotionAnalyzer(boxes, model, heads=[head.path], also="features")(astronaut)
    assert result.labels == ("other", "grin")
    assert result.scores.values[1, 1] > 0.8
    assert result.scores.values[0].sum() == pytest.approx(1, abs=1e-3)
    assert result.scores.embeddings["features"].shape == (2, 3)
    check_classifier(load_classifier(model, heads=[head.path]))


def test_a_head_of_the_same_name_replaces_the_column(
    tmp_path: Path, model: Path, astronaut: Image
) -> None:
    """`AU12` of a head on features is not overwritten by the mesh's."""
    rng = np.random.default_rng(0)
    colors = rng.random((900, 3)).astype(np.float32)
    values = np.stack([colors[:, 0] * 0 - 5], axis=1).astype(np.float32)  # it always says -5
    rows = labeled_rows(values + 1e-3 * colors[:, :1], ("AU12",), colors)
    rows = replace(rows, model="colors", sha256=file_sha256(model))
    train_head(rows, HeadRecipe("regression", rounds=2), tmp_path / "au.onnx", **QUIET)
    boxes = np.array([FACE], np.float32)
    analyzer = EmotionAnalyzer(boxes, model, heads=[tmp_path / "au.onnx"], also="actions")
    assert analyzer.measures.count("AU12") == 1
    measures = analyzer(astronaut).scores.measures
    assert measures["AU12"][0] == pytest.approx(-5, abs=0.1)
    assert measures["mouthSmileLeft"][0] > 0.7


def test_crops_alone_have_missing_columns(tmp_path: Path, model: Path) -> None:
    head = trained(tmp_path / "grin.onnx", model, "multilabel", ALL)
    classifier = load_classifier(model, heads=[head.path])
    crops: Crops = np.zeros((2, 8, 8, 3), np.uint8)
    assert np.isnan(classifier.classify(crops).measures["grin"]).all()
    check_classifier(classifier)


def test_tables_give_actions_and_leave_out_faces_without_a_mesh(tmp_path: Path) -> None:
    signals = dict(smile()) | {name: [0.1] * 200 for name in ("jawOpen", "pitch_deg")}
    signals["jawOpen"] = [np.nan] * 50 + [0.1] * 150
    table = acted({1: signals}, yaw=7).save(tmp_path / "t.parquet")
    labels = tmp_path / "labels.csv"
    lines = [f"t,{frame},{int(75 <= frame < 100)}" for frame in range(200)]
    labels.write_text("\n".join(["source,frame,grin", *lines]).replace("t,", "film.mp4,"))
    rows = load_rows(table, labels, Selection("multilabel", inputs=("pose", "actions")))
    assert rows.inputs == ("actions", "pose")
    assert len(rows) == 150
    assert "50 faces without a trusted mesh left out." in rows.notes
    named = dict(zip(input_columns(rows.inputs), rows.features.T, strict=True))
    assert (named["yaw_deg"] == 7).all()
    assert named["mouthSmileLeft"].max() == pytest.approx(0.8)


def test_errors_say_what_is_missing(tmp_path: Path) -> None:
    plain = Timeline.from_results([frame_result(0.0, {1: mostly("neutral")})])
    table = plain.save(tmp_path / "plain.parquet")
    with pytest.raises(InputError, match=r"no facial actions: analyze again with --actions"):
        read_features(table, ("actions",))
    with pytest.raises(InputError, match=r"no features beside it"):
        read_features(acted({1: smile()}).save(tmp_path / "acted.parquet"), ALL)
    with pytest.raises(UsageError, match=r"a head learns from features, actions, pose"):
        Selection("expression", inputs=("gaze",))
    with pytest.raises(UsageError, match="adapts the model's last layer"):
        Selection("expression", person="2", inputs=ALL)
    (tmp_path / "labels.csv").write_text("source,frame,smile\nfilm.mp4,0,1\n")
    done = run(
        *("train-head", table, tmp_path / "labels.csv", "--task", "multilabel"),
        *("--features", "actions", "-o", tmp_path / "h.onnx"),
    )
    assert done.exit_code != 0
    assert "no facial actions: analyze again with --actions" in done.output
    assert ordered_inputs(("pose", "features")) == ("features", "pose")
