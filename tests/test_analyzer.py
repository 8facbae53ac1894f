"""The analyzer: images in, results out, whatever the input."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.clock import wait_until
from helpers.results import Run

from mien import (
    CustomClassifier,
    EmotionAnalyzer,
    Faces,
    InputError,
    Result,
    Results,
    load_detector,
)
from mien.errors import InputNotFoundError, PluginError, UsageError
from mien.media.photos import photos
from mien.results.files import SUFFIXES
from mien.sinks.images import ImageSink
from mien.sinks.jsonl import JsonlSink
from mien.sinks.tables import TableSink
from mien.testing import check_detector, check_sink, check_source
from mien.types import Crops, Frame, Image, Scores


@pytest.fixture(scope="module")
def analyzer() -> EmotionAnalyzer:
    return EmotionAnalyzer()


@pytest.fixture(scope="module")
def smile(analyzer: EmotionAnalyzer, astronaut: Image) -> Result:
    return analyzer(astronaut)


def bright_spots(image: Image) -> list[tuple[int, int, int, int]]:
    """A user's detector: a box around each column of bright pixels."""
    return [(int(x), 0, int(x) + 10, 10) for x in np.flatnonzero(image[0, :, 0] > 200)[::10]]


def brightness(crops: Crops) -> Any:
    value = crops.mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - value, value], axis=1)


def spots(count: int) -> Image:
    image = np.zeros((20, 100, 3), np.uint8)
    image[:, : 10 * count] = 255
    return image


def test_the_smile_is_found_and_named(smile: Result) -> None:
    assert smile.emotions == ("happiness",)
    assert smile.quality.fit.tolist() == [True]
    assert smile.scores.values.shape == (1, 8)
    assert smile.faces.landmarks is not None
    x1, y1, x2, y2 = smile.faces.boxes[0]
    assert 150 < x1 < 200 < x2 < 290
    assert 40 < y1 < 90 < y2 < 200


def test_every_kind_of_input_gives_the_same_answer(
    analyzer: EmotionAnalyzer, photo: Path, smile: Result
) -> None:
    from PIL import Image as PilImage

    opened = PilImage.open(photo)
    for source in (photo, str(photo), photo.read_bytes(), photo.open("rb"), opened):
        result = analyzer(source)
        assert result.scores.values == pytest.approx(smile.scores.values, abs=1e-4)
        if hasattr(source, "close"):
            source.close()


def test_batching_across_images_keeps_every_row_in_its_place() -> None:
    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    analyzer = EmotionAnalyzer(bright_spots, judge, batch_size=4)
    counts = [0, 3, 1, 0, 6, 2, 0]
    results = list(analyzer.analyze(spots(count) for count in counts))
    assert [len(result) for result in results] == counts
    assert all(len(r.scores) == len(r.crops) == len(r.quality.fit) == len(r) for r in results)
    single = [EmotionAnalyzer(bright_spots, judge)(spots(count)) for count in counts]
    for together, alone in zip(results, single, strict=True):
        assert together.scores.values == pytest.approx(alone.scores.values)


def test_analyze_reads_no_further_than_it_must() -> None:
    taken = 0

    def endless() -> Iterator[Image]:
        nonlocal taken
        while True:
            taken += 1
            yield spots(1)

    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    stream = EmotionAnalyzer(bright_spots, judge, batch_size=4).analyze(endless())
    next(stream)
    wait_until(lambda: taken >= 12)
    assert taken == 12  # the batch that is predicted, one that waits, one that is ready
    stream.close()  # type: ignore[attr-defined]


def test_a_bad_image_among_good_ones_is_a_row(tmp_path: Path, photo: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    results = Results(EmotionAnalyzer(bright_spots, judge).analyze([spots(2), bad, photo]))
    assert [result.error is None for result in results] == [True, False, True]
    images = results.images
    assert images["status"].tolist() == ["ok", "error", "ok"]
    assert "bad.jpg" in images["error"][1]
    assert len(results.faces) == sum(len(result) for result in results)
    with pytest.raises(InputError):
        results[1].draw()


def test_one_image_is_asked_for_and_an_error_is_raised(analyzer: EmotionAnalyzer) -> None:
    with pytest.raises(InputNotFoundError, match="nowhere"):
        analyzer("/nowhere.jpg")
    with pytest.raises(UsageError, match="more than one image"):
        analyzer([spots(1), spots(1)])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no image"):
        analyzer([])  # type: ignore[arg-type]


def test_uncertain_where_no_label_has_a_majority() -> None:
    def undecided(crops: Crops) -> Any:
        return np.tile([0.45, 0.35, 0.2], (len(crops), 1))

    judge = CustomClassifier(undecided, ("a", "b", "c"), 8)
    result = EmotionAnalyzer(bright_spots, judge)(spots(1))
    assert result.emotions == ("uncertain",)
    assert result.probabilities == pytest.approx([0.45])
    eager = EmotionAnalyzer(bright_spots, judge, uncertain_below=0.4)(spots(1))
    assert eager.emotions == ("a",)


def test_seven_classes_as_if_before_the_softmax(smile: Result, astronaut: Image) -> None:
    seven = EmotionAnalyzer(without=("contempt",))(astronaut)
    assert len(seven.labels) == 7
    keep = [i for i, name in enumerate(smile.labels) if name != "contempt"]
    rest = smile.scores.values[:, keep]
    assert seven.scores.values == pytest.approx(rest / rest.sum(), abs=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"min_score": 2}, {"uncertain_below": -1}, {"batch_size": 0}, {"without": ("joy",)}],
)
def test_wrong_options_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        EmotionAnalyzer(**options)


def test_a_detector_that_returns_nonsense_is_named() -> None:
    class Nonsense:
        def detect(self, image: Image) -> Faces:
            return [1, 2, 3, 4]  # type: ignore[return-value]

    with pytest.raises(PluginError, match=r"must return mien\.Faces, got list"):
        EmotionAnalyzer(Nonsense())(spots(1))
    with pytest.raises(PluginError, match=r"must return mien\.Faces"):
        check_detector(Nonsense())


@pytest.mark.parametrize("name", ["mtcnn", "haar"])
def test_builtin_detectors_pass_the_public_check(name: str, astronaut: Image) -> None:
    check_detector(load_detector(name), astronaut)


def test_a_users_function_passes_the_public_check() -> None:
    check_detector(load_detector(bright_spots), spots(3))


def test_sources_and_sinks_pass_their_checks(tmp_path: Path, photo: Path) -> None:
    check_source(photos([photo, spots(1), "/nowhere.jpg"]))
    check_sink(ImageSink(tmp_path / "pictures"))
    check_sink(TableSink(tmp_path / "t.csv", Run(("neutral", "happiness"))))
    with (tmp_path / "lines.jsonl").open("w") as stream:
        check_sink(JsonlSink(stream))
    lines = (tmp_path / "lines.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["error", "ok", "ok"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saved_results_come_back(tmp_path: Path, photo: Path, suffix: str) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    results = Results(EmotionAnalyzer().analyze([photo, bad]))
    path = results.save(tmp_path / f"run{suffix}")
    loaded = Results.load(path)
    assert loaded.labels == results.labels
    assert loaded[0].emotions == ("happiness",)
    assert loaded[0].scores.values == pytest.approx(results[0].scores.values, abs=1e-5)
    assert loaded[0].size == results[0].size
    assert loaded[1].error == results[1].error
    assert loaded[0].draw().shape == results[0].draw().shape
    if suffix == ".parquet":
        assert len(loaded[0].settings.classifier_sha256) == 64


def test_images_of_a_result(smile: Result, astronaut: Image) -> None:
    drawn, margin = smile.draw(), smile.draw(margin_for=0)
    assert drawn.shape == astronaut.shape
    assert not np.array_equal(drawn, astronaut)
    assert margin.shape[1] > astronaut.shape[1]
    assert smile.square_images().ndim == 3
    with pytest.raises(UsageError, match="no face 3"):
        smile.draw(margin_for=3)
    html = smile._repr_html_()
    assert html.startswith("<img")
    assert "happiness" in html


def test_heatmaps_highlight_the_mouth_of_a_smile(smile: Result) -> None:
    heat = smile.activation_maps("happiness")[0]
    assert heat.shape == (4, 4)
    assert heat.max() == pytest.approx(1)
    assert heat[2:].sum() > heat[:2].sum()
    sheet = smile.square_images()  # the legend of the heatmaps stands below
    assert smile.heatmaps().shape[1] == sheet.shape[1]
    assert smile.heatmaps().shape[0] > sheet.shape[0]
    mixed = smile.activation_maps("mix")[0]  # a sure smile: nearly the same map
    assert np.corrcoef(mixed.ravel(), heat.ravel())[0, 1] > 0.9
    assert not np.array_equal(mixed, heat)
    assert smile.heatmaps("mix").shape == smile.heatmaps().shape
    with pytest.raises(UsageError, match="no label 'joy'"):
        smile.activation_maps("joy")


def test_models_without_a_card_are_explained_by_occlusion() -> None:
    judge = CustomClassifier(brightness, ("dark", "light"), 16)
    result = EmotionAnalyzer(bright_spots, judge)(spots(1))
    maps = result.activation_maps("light")
    assert maps.ndim == 3
    assert maps.max() > 0


def test_save_writes_a_folder(smile: Result, analyzer: EmotionAnalyzer, tmp_path: Path) -> None:
    folder = analyzer(Path(__file__).parents[1] / "src/mien/assets/astronaut.jpg").save(tmp_path)
    names = sorted(p.name for p in folder.iterdir())
    assert names == [
        "astronaut.annotated.jpg",
        "astronaut.csv",
        "astronaut.json",
        "astronaut.squares.png",
    ]


def test_the_table_has_the_promised_columns(smile: Result) -> None:
    table = Results([smile]).faces
    head = "source frame time_s face x1 y1 x2 y2 detection_score track_id emotion probability"
    quality = ["size_px", "sharpness", "roll_deg", "yaw_deg", "fit", "unfit_reason"]
    assert list(table.columns) == [*head.split(), *smile.labels, *quality]
    shown = smile.to_dataframe()
    assert list(shown.columns[:3]) == ["emotion", "probability", "source"]
    assert set(shown.columns) == set(table.columns)


def test_loading_keeps_each_row_with_its_image(tmp_path: Path) -> None:
    judge = CustomClassifier(lambda crops: np.tile([0.4, 0.6], (len(crops), 1)), ("a", "b"), 8)
    analyzer = EmotionAnalyzer(bright_spots, judge, uncertain_below=0.7)
    results = list(analyzer.analyze([spots(1), spots(2)]))
    twice = Results([results[1], results[0], results[1]])  # one source more than once
    for suffix in SUFFIXES:
        loaded = Results.load(twice.save(tmp_path / f"t{suffix}"))
        assert [len(result) for result in loaded] == [2, 1, 2]
        assert loaded[0].emotions == ("uncertain", "uncertain")
        with pytest.raises(UsageError, match="crops are not stored"):
            loaded[0].square_images()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_run_without_a_face_comes_back(tmp_path: Path, suffix: str) -> None:
    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    results = Results(EmotionAnalyzer(bright_spots, judge).analyze([spots(0)]))
    loaded = Results.load(results.save(tmp_path / f"t{suffix}"))
    assert [len(result) for result in loaded] == [0]
    assert loaded[0].error is None


def test_annotated_images_replace_nothing(tmp_path: Path) -> None:
    from PIL import Image as PilImage

    for name in ("p/a.png", "q/a.png", "a-2.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PilImage.fromarray(spots(1)).save(path)
    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    before = {p: p.read_bytes() for p in (tmp_path / "in").rglob("*.png")}
    with ImageSink(tmp_path / "in") as sink:
        for result in EmotionAnalyzer(bright_spots, judge).analyze(tmp_path / "in"):
            sink.write(result)
    assert {p: p.read_bytes() for p in before} == before
    assert len(list((tmp_path / "in").glob("*.annotated.jpg"))) == 3


def failing_in_the_dark(image: Image) -> list[tuple[int, int, int, int]]:
    if image.max() == 0:
        raise RuntimeError("the camera is on fire")
    return bright_spots(image)


@pytest.mark.parametrize("adaptive", [None, False, True])
def test_a_detector_that_fails_at_one_input_leaves_an_error_row(adaptive: bool | None) -> None:
    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    analyzer = EmotionAnalyzer(failing_in_the_dark, judge)
    images = [spots(1), spots(0), spots(2)]
    if adaptive is None:
        results = list(analyzer.analyze(images))
        assert [len(result) for result in results] == [1, 0, 2]
    else:
        frames = [Frame("a.mp4", image.copy, i, i / 25) for i, image in enumerate(images)]
        results = list(analyzer.stream(frames, adaptive=adaptive))
    assert [result.status for result in results] == ["ok", "error", "ok"]
    assert "on fire" in str(results[1].error)
    assert results[1].source in str(results[1].error)


def test_a_classifier_that_fails_at_one_input_leaves_an_error_row() -> None:
    def picky(crops: Crops) -> Any:
        if len(crops) == 2 or len(crops) > 3:  # at a batch with it as well
            raise RuntimeError("two is a crowd")
        return brightness(crops)

    analyzer = EmotionAnalyzer(bright_spots, CustomClassifier(picky, ("dark", "light"), 8))
    results = list(analyzer.analyze([spots(1), spots(2), spots(0), spots(3)]))
    assert [result.status for result in results] == ["ok", "error", "ok", "ok"]
    assert [len(result) for result in results] == [1, 0, 0, 3]
    with pytest.raises(PluginError, match="two is a crowd"):
        analyzer(spots(2))


def test_a_detector_that_never_works_ends_the_run_after_its_rows() -> None:
    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    analyzer = EmotionAnalyzer(failing_in_the_dark, judge)
    results = analyzer.analyze([spots(0), "nowhere.jpg", spots(0)])
    assert [next(results).status for _ in range(3)] == ["error"] * 3
    with pytest.raises(PluginError, match="on fire"):
        next(results)
    with pytest.raises(PluginError, match="on fire"):
        list(analyzer.analyze(spots(0) for _ in iter(int, 1)))  # without an end
    with pytest.raises(PluginError, match="on fire"):
        analyzer(spots(0))


def test_boxes_that_are_already_there() -> None:
    judge = CustomClassifier(brightness, ("dark", "light"), 8)
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10]])
    kinds: list[Any] = [boxes, boxes.tolist(), Faces(boxes.astype(np.float32))]
    for given in kinds:
        assert len(EmotionAnalyzer(given, judge)(spots(3))) == 2


def test_settings_are_plain_and_repeatable() -> None:
    first, second = EmotionAnalyzer().settings, EmotionAnalyzer().settings
    assert first == second
    assert first.detector_settings["min_score"] == 0.7


def test_results_survive_pickling(smile: Result) -> None:
    copy = pickle.loads(pickle.dumps(smile))
    assert copy.emotions == smile.emotions
    assert np.array_equal(copy.draw(), smile.draw())
    assert "crops" not in repr(smile)


def test_an_analyzer_survives_pickling(analyzer: EmotionAnalyzer, smile: Result) -> None:
    copy = pickle.loads(pickle.dumps(analyzer))
    again = copy(smile.image)
    assert again.scores.values == pytest.approx(smile.scores.values, abs=1e-5)


def test_a_result_prints_its_answer_and_is_true_without_a_face(astronaut: Image) -> None:
    result = EmotionAnalyzer()(astronaut)
    assert re.fullmatch(r"Result\('.+', 512x512, 1 face: happiness \d+ %\)", repr(result))
    meadow = EmotionAnalyzer()(np.zeros((40, 60, 3), np.uint8))
    assert repr(meadow).endswith(", 60x40, no face)")
    assert meadow
    assert not len(meadow)
    assert Faces.empty()
    assert Scores.empty(("a", "b"))
