"""Valence and arousal from a distribution: values, provenance and the plot."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from helpers.networks import channel_network
from helpers.results import frame_result, mostly
from typer.testing import CliRunner

from mien import CustomClassifier, EmotionAnalyzer, ModelCard, Results, Scores, Timeline
from mien.cli.commands.analyze import analyze
from mien.cli.commands.export import export
from mien.cli.exit_codes import with_exit_code
from mien.errors import UsageError
from mien.expressions.affect import (
    COORDINATES,
    affect,
    coordinates_of,
    missing,
    with_affect,
    with_columns,
)
from mien.expressions.onnx import OnnxClassifier
from mien.labels import EMOTIONS, MEASURES
from mien.plots import PersonPath, plane_plot
from mien.plots.affect_plane import time_color
from mien.types import Crops, FloatArray

SVG = "{http://www.w3.org/2000/svg}"


def sure(label: str) -> list[float]:
    return [float(name == label) for name in EMOTIONS]


# --- the numbers


def test_a_sure_face_lies_where_its_word_does() -> None:
    found = affect([sure(label) for label in EMOTIONS], EMOTIONS)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([COORDINATES[label] for label in EMOTIONS]), abs=1e-6)
    assert affect([sure("happiness")], EMOTIONS)[0] == pytest.approx([0.81, 0.51])
    assert affect([sure("neutral")], EMOTIONS)[0].tolist() == [0, 0]


def test_a_mixed_face_lies_between(rng: np.random.Generator) -> None:
    half = np.array([[0.5 if name in ("happiness", "sadness") else 0.0 for name in EMOTIONS]])
    assert affect(half, EMOTIONS)[0] == pytest.approx([(0.81 - 0.63) / 2, (0.51 - 0.27) / 2])
    many = rng.dirichlet(np.ones(8), 50)
    assert affect(many.mean(axis=0)[None], EMOTIONS)[0] == pytest.approx(
        affect(many, EMOTIONS).mean(axis=0), abs=1e-6
    )


def test_labels_are_matched_by_name_in_any_order_and_spelling() -> None:
    assert affect([[0.0, 1.0]], ("Sad", "Happy"))[0] == pytest.approx([0.81, 0.51])
    assert affect(np.zeros((0, 2)), ("Sad", "Happy")).shape == (0, 2)
    with pytest.raises(UsageError, match="cannot be derived for label 'bored'"):
        coordinates_of(("happiness", "bored"))
    with pytest.raises(UsageError, match=r"3 labels need \(n, 3\)"):
        affect([[0.5, 0.5]], ("sad", "happy", "fear"))


def test_what_is_measured_stays() -> None:
    values = np.array([sure("happiness")], np.float32)
    own = Scores(values, EMOTIONS, measures={"valence": np.array([-0.5], np.float32)})
    found = with_affect(own)
    assert found.measures["valence"].tolist() == [-0.5]
    assert found.measures["arousal"] == pytest.approx([0.51])
    both = {name: np.zeros(1, np.float32) for name in MEASURES}
    complete = Scores(values, ("a", *EMOTIONS[1:]), measures=both)
    assert with_affect(complete) is complete  # so a strange label is no matter
    assert missing(["arousal", "apparent_age"]) == ("valence",)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    values = np.array([[3.0, -1.0]], np.float32)
    with pytest.raises(UsageError, match="derived from probabilities"):
        with_affect(Scores(values, ("sad", "happy"), "score"))
    faces = frame_result(0.0, {1: mostly("fear")}).to_dataframe()
    with pytest.raises(UsageError, match="derived from probabilities"):
        with_columns(faces.assign(fear=3.0), EMOTIONS)


def test_columns_stand_behind_the_labels() -> None:
    faces = frame_result(0.0, {1: sure("anger")}).to_dataframe()
    found = with_columns(faces, EMOTIONS)
    names = list(found.columns)
    assert names[names.index(EMOTIONS[-1]) + 1 :][:3] == ["valence", "arousal", "size_px"]
    assert found["valence"].tolist() == pytest.approx([-0.51])
    other = with_columns(found.drop(columns="valence").assign(arousal=0.1), EMOTIONS)
    assert list(other.columns) == names
    assert other["arousal"].tolist() == [0.1]
    assert "valence" not in faces


# --- on the road


def story() -> Timeline:
    """Sad for two seconds, then happy for two; 10 frames a second."""
    labels = ["sadness"] * 20 + ["happiness"] * 20
    results = (frame_result(i / 10, {1: mostly(name)}, index=i) for i, name in enumerate(labels))
    return Timeline.from_results(results)


def test_a_table_says_that_they_are_derived_and_is_read_again(tmp_path: Path) -> None:
    timeline = story().smooth(0.6).derive_affect()
    assert timeline.derive_affect() is timeline
    assert timeline.settings.derived.startswith("valence and arousal from the probabilities")
    assert "Russell and Mehrabian 1977" in timeline.settings.derived
    path = timeline.save(tmp_path / "t.parquet")
    again = Timeline.load(path)
    assert again.settings.derived == timeline.settings.derived
    assert b"mien.derived" in pq.read_schema(path).metadata
    for name in MEASURES:
        assert again.faces[name].to_numpy() == pytest.approx(timeline.faces[name].to_numpy())
        before = story().derive_affect().smooth(0.6).faces[name].to_numpy()
        assert before == pytest.approx(timeline.faces[name].to_numpy(), abs=1e-5)
    first, last = affect([mostly("sadness"), mostly("happiness")], EMOTIONS)[:, 0].tolist()
    assert timeline.raw.faces["valence"].iloc[[0, -1]].to_numpy() == pytest.approx([first, last])


def test_a_result_and_an_analyzer_give_the_same(photo: Path) -> None:
    result = EmotionAnalyzer()(photo)
    assert not result.scores.measures
    derived = result.derive_affect()
    assert derived.derive_affect() is derived
    asked = EmotionAnalyzer(also=("affect",))
    assert asked.measures == MEASURES
    found = asked(photo)
    for one in (derived, found):
        assert one.scores.measures["valence"] == pytest.approx([0.8], abs=0.03)  # a broad smile
        assert one.settings.derived
    assert found.to_dict()["faces"][0]["valence"] == pytest.approx(0.8, abs=0.03)
    assert not EmotionAnalyzer().settings.derived


def test_an_analyzer_says_at_once_what_cannot_be_derived(tmp_path: Path) -> None:
    def calm(crops: Crops) -> FloatArray:
        return np.full((len(crops), 2), 0.5, np.float32)

    strange = CustomClassifier(calm, labels=("at ease", "tense"), input_size=8)
    with pytest.raises(UsageError, match="'at ease'"):
        EmotionAnalyzer(classifier=strange, also=("affect",))
    known = CustomClassifier(calm, labels=("happy", "bored"), input_size=8)
    assert EmotionAnalyzer(classifier=known, also=("affect",), without=("bored",)).measures
    card = ModelCard("tiny", ("happiness", "sadness"), 8, std=1.0, measures=("valence",))  # type: ignore[arg-type]
    model = OnnxClassifier(channel_network(tmp_path / "tiny.onnx", card=card.to_json()))
    analyzer = EmotionAnalyzer(lambda image: [(4, 4, 36, 36, 0.9)], model, also=("affect",))
    assert analyzer.settings.derived.startswith("arousal from")
    image = np.zeros((40, 40, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, 25  # happiness; 25 of blue are a valence of 0.5
    measures = analyzer(image).scores.measures
    assert measures["valence"] == pytest.approx([0.5])
    assert measures["arousal"] == pytest.approx([0.51], abs=0.02)


def run(command: object, *arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(with_exit_code(command))  # type: ignore[arg-type]
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def test_the_command_writes_columns(tmp_path: Path, photo: Path) -> None:
    table = tmp_path / "t.parquet"
    assert run(analyze, photo, "-o", table, "--affect")[0] == 0
    loaded = Results.load(table)
    assert loaded.faces["valence"].tolist() == pytest.approx([0.8], abs=0.03)
    assert "Table 4" in loaded[0].settings.derived
    code, output = run(analyze, photo, "--json", "--affect")
    assert code == 0
    assert json.loads(output.splitlines()[0])["faces"][0]["arousal"] == pytest.approx(0.5, abs=0.03)


# --- the plane


def drawing(*people: PersonPath, **options: object) -> ElementTree.Element:
    return ElementTree.fromstring(plane_plot(people, **options).svg)  # type: ignore[arg-type]


def moments(group: ElementTree.Element) -> list[tuple[float, float]]:
    """The points of a way, in order of time."""
    found = []
    for path in group.iter(f"{SVG}path"):
        if path.get("stroke-width") == "5":
            numbers = re.findall(r"M(-?[\d.]+) (-?[\d.]+)h0", path.get("d") or "")
            found += [(float(x), float(y)) for x, y in numbers]
    return found


def words(svg: ElementTree.Element) -> dict[str, tuple[float, float]]:
    """Each expression's mark: the circle before its word."""
    found, last = {}, (0.0, 0.0)
    for element in svg.iter():
        if element.tag == f"{SVG}circle":
            last = float(element.get("cx", "")), float(element.get("cy", ""))
        elif element.tag == f"{SVG}text" and element.text in COORDINATES:
            found[str(element.text)] = last
    return found


def test_a_way_leads_over_the_places_of_its_words() -> None:
    stops = ["sadness", "neutral", "happiness"]
    times = np.arange(30) / 10
    way = np.repeat([COORDINATES[name] for name in stops], 10, axis=0)
    svg = drawing(PersonPath("Ada", times, way), source="x", width=500)
    marks = words(svg)
    assert set(marks) == set(EMOTIONS)
    points = moments(svg)
    assert len(points) == 30
    for i, name in ((0, "sadness"), (15, "neutral"), (29, "happiness")):
        assert points[i] == pytest.approx(marks[name], abs=0.1)
    assert marks["happiness"][0] > marks["neutral"][0] > marks["sadness"][0]
    assert marks["happiness"][1] < marks["neutral"][1] < marks["sadness"][1]  # up is excited


def test_colors_encode_time() -> None:
    times = np.linspace(0, 10, 500)
    svg = drawing(PersonPath("Ada", times, np.zeros((500, 2))))
    colors = [g.get("stroke") for g in svg.iter(f"{SVG}g") if g.get("stroke-linecap")]
    assert len(colors) == len(set(colors)) == 36
    late = drawing(PersonPath("Ada", times, np.zeros((500, 2))), span=(0.0, 20.0))
    half = [g.get("stroke") for g in late.iter(f"{SVG}g") if g.get("stroke-linecap")]
    assert half[0] == colors[0]
    assert half[-1] != colors[-1]
    texts = [text.text for text in late.iter(f"{SVG}text")]
    assert "20 s" in texts


def test_a_time_away_is_not_bridged_and_half_an_hour_is_small() -> None:
    times = np.concatenate([np.arange(0, 5, 0.1), np.arange(8, 10, 0.1)])
    places_ = np.where(times[:, None] < 6, [-0.5, 0.5], [0.5, -0.5])
    svg = drawing(PersonPath("Ada", times, places_))
    lines = [p.get("d") or "" for p in svg.iter(f"{SVG}path") if p.get("stroke-opacity") == ".6"]
    steps = re.findall(r"M(-?[\d.]+) (-?[\d.]+)L(-?[\d.]+) (-?[\d.]+)", "".join(lines))
    assert len(steps) == len(times) - 2
    assert all(abs(float(a) - float(c)) < 1 for a, _, c, _ in steps)
    long = PersonPath("Ada", np.arange(45_000) / 25, np.zeros((45_000, 2)))
    assert len(plane_plot([long]).svg) < 60_000


@pytest.mark.parametrize(("count", "width"), [(0, 960), (1, 960), (2, 960), (7, 960), (3, 358)])
def test_planes_fit_the_width_and_do_not_overlap(count: int, width: int) -> None:
    people = [PersonPath(f"P{i}", np.zeros(1), np.zeros((1, 2))) for i in range(count)]
    svg = drawing(*people, width=width)
    assert float(svg.get("width", "")) <= width
    rims = []
    for group in svg.iter(f"{SVG}g"):
        if group.get("class") == "mien-plane":
            rims.append(next(c for c in group.iter(f"{SVG}circle")))
    assert len(rims) == count
    discs = [(float(c.get("cx", "")), float(c.get("cy", "")), float(c.get("r", ""))) for c in rims]
    for i, (x, y, r) in enumerate(discs):
        assert r <= x <= float(svg.get("width", "")) - r
        assert y + r < float(svg.get("height", ""))
        for other in discs[:i]:
            assert np.hypot(x - other[0], y - other[1]) > r + other[2]
    if not count:
        assert "no face was found" in [text.text for text in svg.iter(f"{SVG}text")]


def test_the_source_of_the_values_is_stated() -> None:
    one = PersonPath("Ada", np.zeros(1), np.zeros((1, 2)))

    def note(**options: str) -> str:
        return " ".join(t.text or "" for t in drawing(one, **options).iter(f"{SVG}text"))

    assert "Derived: by somebody." in note(source="by somebody")
    assert "As the model measures them." in note()
    told_ = story().plane()
    assert "Derived:" in re.sub(r"<[^>]+>", " ", told_.svg)
    measured = replace(story(), faces=story().faces.assign(valence=0.1, arousal=0.2))
    assert "As the model" in re.sub(r"<[^>]+>", " ", measured.plane().svg)


def test_wrong_input_is_one_sentence_and_names_do_not_break_out() -> None:
    with pytest.raises(UsageError, match=r"shape \(2, 2\)"):
        PersonPath("Ada", np.zeros(2), np.zeros((2, 3)))
    with pytest.raises(UsageError, match="at least 260"):
        plane_plot([], width=100)
    with pytest.raises(UsageError, match="two times in order"):
        plane_plot([], span=(3, 1))
    places_ = np.array([[np.nan, 0.0], [3.0, 0.0], [0.1, 0.1]])
    path = PersonPath("<script>", np.array([0.0, 2.0, 1.0]), places_)
    assert path.times.tolist() == [1.0, 2.0]
    assert path.places[:, 0].tolist() == pytest.approx([0.1, 1.05])
    assert "<script" not in plane_plot([path]).svg


@pytest.mark.parametrize("share", np.linspace(0, 1, 9))
@pytest.mark.parametrize("paper", [(255, 255, 255), (21, 23, 27)])
def test_every_color_of_time_stands_out(share: float, paper: tuple[int, ...]) -> None:
    from helpers.colors import contrast

    text = time_color(float(share))
    assert contrast(tuple(int(text[i : i + 2], 16) for i in (1, 3, 5)), paper) >= 3


def test_the_export_command_draws(tmp_path: Path) -> None:
    table = story().save(tmp_path / "t.parquet")
    plane, curves, rows = (tmp_path / name for name in ("p.svg", "c.svg", "t.csv"))
    assert run(export, table, "-o", plane, "--plane")[0] == 0
    assert "mien-plane" in plane.read_text("utf-8")
    assert run(export, table, "-o", curves)[0] == 0
    assert "mien-line" in curves.read_text("utf-8")
    assert run(export, table, "-o", rows, "--affect")[0] == 0
    assert "valence,arousal" in rows.read_text("utf-8").splitlines()[0]
    code, output = run(export, table, "-o", tmp_path / "p.csv", "--plane")
    assert (code, "in .svg" in output) == (2, True)


# --- real votes


def test_votes_rise_from_unpleasant_through_neutral_to_happiness(shared: Path) -> None:
    from mien.datasets import load_ferplus

    faces = load_ferplus(shared / "data" / "ferplus", "test")
    valence = affect(faces.distribution, EMOTIONS)[:, 0]
    means = {label: float(valence[faces.majority == i].mean()) for i, label in enumerate(EMOTIONS)}
    low = max(means[label] for label in ("anger", "sadness", "disgust", "fear"))
    assert low < -0.3 < -0.1 < means["neutral"] < 0.1 < 0.6 < means["happiness"]
