"""Curves: every value is at its place, and half an hour takes no more room than a minute."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.colors import contrast

from mien.errors import UsageError
from mien.labels import COLORS, EMOTIONS
from mien.plots import PersonCurve, picture_uri, round_times, time_text, timeline_plot
from mien.plots.svg import apart, number, path

LABELS = ("neutral", "happiness", "fear")
SVG = "{http://www.w3.org/2000/svg}"


def person(
    times: object,
    values: object,
    labels: tuple[str, ...] = LABELS,
    name: str = "Ada",
    **more: object,
) -> PersonCurve:
    return PersonCurve(name, np.array(times), np.array(values), labels, **more)  # type: ignore[arg-type]


def two_halves(seconds: float = 10, rate: float = 10) -> PersonCurve:
    """Neutral (0.9) for the first half, then happiness (0.8); fear stays below 10 %."""
    times = np.arange(int(seconds * rate)) / rate
    late = (times >= seconds / 2)[:, None]
    return person(times, np.where(late, [0.15, 0.8, 0.05], [0.9, 0.05, 0.05]))


def drawing(*people: PersonCurve, **options: object) -> ElementTree.Element:
    return ElementTree.fromstring(timeline_plot(people, **options).svg)  # type: ignore[arg-type]


def lines(panel: ElementTree.Element) -> dict[str, list[np.ndarray]]:
    """Label -> its runs, each (m, 2) points, of one panel."""
    found = {}
    for line in panel.iter(f"{SVG}path"):
        if line.get("class") == "mien-line":
            runs = []
            for run in (line.get("d") or "").split("M")[1:]:
                numbers = [float(word) for word in re.split("[l ]", run)]
                runs.append(np.cumsum(np.array(numbers).reshape(-1, 2), axis=0))
            found[str(line.get("data-label"))] = runs
    return found


def panels(svg: ElementTree.Element) -> list[ElementTree.Element]:
    return [group for group in svg.iter(f"{SVG}g") if group.get("class") == "mien-panel"]


def texts(svg: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def test_lines_lie_at_their_time_and_probability() -> None:
    svg = drawing(two_halves())
    (panel,) = panels(svg)
    top, base = float(panel.get("data-top", "")), float(panel.get("data-base", ""))
    left, right = float(svg.get("data-left", "")), float(svg.get("data-right", ""))
    found = lines(panel)
    assert list(found) == ["neutral", "happiness"]  # fear never reaches 10 %
    (neutral,), (happiness,) = found["neutral"], found["happiness"]
    assert neutral[0] == pytest.approx([left, base - 0.9 * (base - top)], abs=0.1)
    assert happiness[-1] == pytest.approx([right, base - 0.8 * (base - top)], abs=0.1)
    middle = neutral[neutral[:, 1] < base - 0.5 * (base - top)][-1]  # the last neutral point
    assert middle[0] == pytest.approx(left + (right - left) * 4.9 / 9.9, abs=0.2)


def test_a_time_away_is_a_gap() -> None:
    whole = two_halves()
    there = (whole.times < 2) | (whole.times > 3)
    (panel,) = panels(drawing(person(whole.times[there], whole.values[there])))
    first, second = lines(panel)["neutral"]
    assert second[0, 0] - first[-1, 0] > 80  # 1.1 of 9.9 s on 900 units
    one_missing = np.delete(np.arange(100), 30)
    (panel,) = panels(drawing(person(whole.times[one_missing], whole.values[one_missing])))
    assert len(lines(panel)["neutral"]) == 1


def test_half_an_hour_is_as_small_as_a_minute(rng: np.random.Generator) -> None:
    values = rng.dirichlet([1, 1, 1], 45_000)
    plot = timeline_plot([person(np.arange(45_000) / 25, values)])
    assert len(plot.svg) < 60_000
    (panel,) = panels(ElementTree.fromstring(plot.svg))
    (run,) = lines(panel)["happiness"]
    assert 800 < len(run) <= 900
    share = (float(panel.get("data-base", "")) - run[:, 1]) / 92
    assert share.mean() == pytest.approx(values[:, 1].mean(), abs=0.01)
    assert share.max() < 0.6  # means of fifty frames, not picks among them


def test_flicker_between_two_frames_does_not_grow_the_file() -> None:
    times = np.arange(45_000) / 25
    there = np.arange(45_000) % 40 < 20  # in and out for half an hour
    values = np.tile([0.2, 0.7, 0.1], (45_000, 1))
    assert len(timeline_plot([person(times[there], values[there])]).svg) < 60_000


def test_points_outside_the_span_are_left_out() -> None:
    svg = drawing(two_halves(), span=(6.0, 9.0))
    (panel,) = panels(svg)
    assert lines(panel)["neutral"][0][:, 1].max() < float(panel.get("data-base", ""))
    assert all(x >= 43.9 for run in lines(panel)["happiness"] for x in run[:, 0])
    height = float(panel.get("data-base", "")) - lines(panel)["neutral"][0][0, 1]
    assert height == pytest.approx(0.15 * 92, abs=0.2)


def test_a_face_stands_over_its_moment(astronaut: np.ndarray) -> None:
    svg = drawing(
        person(
            two_halves().times,
            two_halves().values,
            thumbnails=[
                (2.0, "neutral", astronaut),
                (8.0, "happiness", astronaut),
                (3.0, "fear", astronaut),  # never ahead of the others: no face
            ],
        )
    )
    faces = list(svg.iter(f"{SVG}image"))
    assert [str(face.get("href"))[:23] for face in faces] == ["data:image/jpeg;base64,"] * 2
    left, right = float(svg.get("data-left", "")), float(svg.get("data-right", ""))
    middles = [float(face.get("x", "")) + float(face.get("width", "")) / 2 for face in faces]
    assert middles == pytest.approx([left + (right - left) * t / 9.9 for t in (2.0, 8.0)], abs=0.6)
    assert {"neutral", "happiness"} < set(texts(svg))


def test_without_faces_the_moments_are_described_in_words() -> None:
    svg = drawing(two_halves())
    (panel,) = panels(svg)
    assert texts(panel)[-2:] == ["neutral", "happiness"]
    assert not list(svg.iter(f"{SVG}image"))


def test_a_face_from_a_moment_that_smoothing_evened_out_is_not_shown(astronaut: np.ndarray) -> None:
    half = two_halves()
    svg = drawing(person(half.times, half.values, thumbnails=[(2.0, "happiness", astronaut)]))
    assert not list(svg.iter(f"{SVG}image"))
    assert texts(svg)[-1] == "happiness"


def test_only_telling_moments_are_pointed_out() -> None:
    (panel,) = panels(drawing(person([0.0, 1.0], [[0.35, 0.33, 0.32]] * 2)))
    assert not {"neutral", "happiness", "fear"} & set(texts(panel))
    (panel,) = panels(drawing(person([0.0, 1.0], [[0.41, 0.3, 0.29]] * 2)))
    assert "neutral" in texts(panel)


def test_faces_of_one_moment_do_not_overlap(astronaut: np.ndarray) -> None:
    times = np.arange(80) / 10
    values = np.full((80, 8), 0.01)
    for i in range(8):
        values[40 + i, i] = 0.9
    faces = [((40 + i) / 10, label, astronaut[::8, ::8]) for i, label in enumerate(EMOTIONS)]
    for width in (960, 358):
        svg = drawing(person(times, values, EMOTIONS, thumbnails=faces), width=width)
        spans = [
            (float(face.get("x", "")), float(face.get("x", "")) + float(face.get("width", "")))
            for face in svg.iter(f"{SVG}image")
        ]
        assert len(spans) == (8 if width == 960 else 4)
        assert all(b[0] > a[1] for a, b in pairwise(spans))
        assert spans[0][0] >= 0
        assert spans[-1][1] <= width


def test_places_move_as_little_as_they_must() -> None:
    free = np.array([10.0, 100.0, 300.0])
    assert apart(free, 50, 0, 400) == pytest.approx(free)
    assert apart(np.array([100.0, 110.0]), 50, 0, 400) == pytest.approx([80, 130])
    assert apart(np.array([5.0, 5.0, 5.0]), 50, 20, 400) == pytest.approx([20, 70, 120])
    assert apart(np.array([399.0, 399.0]), 50, 20, 380) == pytest.approx([330, 380])
    assert len(apart(np.zeros(0), 50, 0, 100)) == 0


def test_a_group_shows_its_spread_and_counts_its_faces() -> None:
    times = np.arange(100) / 10
    values = np.tile([0.6, 0.4, 0.0], (100, 1))
    counts = np.where(times < 5, 1.0, 4.0)
    group = person(times, values, spread=np.full((100, 3), 0.2), counts=counts)
    svg = drawing(group, two_halves())
    first, second = panels(svg)
    bands = [p for p in first.iter(f"{SVG}path") if p.get("class") == "mien-band"]
    assert [band.get("data-label") for band in bands] == ["neutral", "happiness"]
    numbers = [float(n) for n in re.findall(r"-?[\d.]+", bands[0].get("d") or "")]
    outline = np.cumsum(np.array(numbers).reshape(-1, 2), axis=0)
    base = float(first.get("data-base", ""))
    assert (base - outline[:, 1].min()) / 92 == pytest.approx(0.8, abs=0.01)
    assert (base - outline[:, 1].max()) / 92 == pytest.approx(0.4, abs=0.01)
    (steps,) = [g for g in svg.iter(f"{SVG}g") if g.get("class") == "mien-faces"]
    assert texts(steps) == ["4", "faces"]
    line = next(steps.iter(f"{SVG}path")).get("d") or ""
    heights = np.cumsum([float(y) for _, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", line)])
    assert sorted(set((base + 16 + 22 - heights).round(1))) == [5.5, 22]  # 1 of 4, and all
    assert float(second.get("data-top", "")) > base + 16 + 22
    for wrong in ({"spread": np.zeros((2, 3))}, {"counts": np.zeros(2)}):
        with pytest.raises(UsageError, match="each time"):
            person(times, values, **wrong)


def test_a_group_alone_has_its_times_below_the_steps() -> None:
    one = person([0.0, 1.0], np.full((2, 3), 1 / 3), counts=np.ones(2))
    svg = drawing(one)
    height = float(svg.get("height", ""))
    labels = [t for t in svg.iter(f"{SVG}text") if (t.text or "").endswith(" s")]
    assert float(labels[0].get("y", "")) == pytest.approx(height - 26 + 17)


def test_names_and_labels_cannot_break_out() -> None:
    bad = "<script>\"&'\x00"
    values = [[0.3, 0.7], [0.3, 0.7]]
    svg = timeline_plot([person([0.0, 1.0], values, (bad, "b"), name=bad)]).svg
    assert "<script" not in svg
    assert "<script>\"&'\\x00" in texts(ElementTree.fromstring(svg))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_make_a_drawing(count: int) -> None:
    svg = drawing(person(np.arange(count) * 1.0, np.tile([0.1, 0.8, 0.1], (count, 1))))
    assert float(svg.get("height", "")) > 90
    (panel,) = panels(svg)
    assert len(lines(panel)) == (3 if count else 0)


def test_no_people_are_described_in_words() -> None:
    assert texts(drawing()) == ["no face was found"]


def test_rows_without_values_are_left_out_and_order_does_not_matter() -> None:
    whole = two_halves()
    values = whole.values.copy()
    values[50:] = np.nan
    half = person(whole.times[::-1], values[::-1])
    assert len(half.times) == 50
    assert (np.diff(half.times) > 0).all()


def test_wrong_input_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"shape \(2, 3\)"):
        person([0.0, 1.0], [[0.1, 0.9]])
    with pytest.raises(UsageError, match="from 0 to 1"):
        person([0.0], [[3.0, -2.0, 0.1]])
    with pytest.raises(UsageError, match="two times in order"):
        timeline_plot([two_halves()], span=(3, 1))
    with pytest.raises(UsageError, match="at least 240"):
        timeline_plot([two_halves()], width=10)


def test_a_plot_is_saved_and_shown(tmp_path: Path) -> None:
    plot = timeline_plot([two_halves()])
    assert plot.save(tmp_path / "a.svg").read_text("utf-8").startswith(plot.svg)
    assert plot._repr_svg_() == plot._repr_html_() == plot.svg
    with pytest.raises(UsageError, match=r"must end in \.svg"):
        plot.save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="there is no folder"):
        plot.save(tmp_path / "none" / "a.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        plot.save(tmp_path / "folder.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.svg", "folder.svg"]


@pytest.mark.parametrize(
    ("start", "end", "most", "times"),
    [
        (0, 20, 11, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20]),
        (0, 1800, 7, [0, 300, 600, 900, 1200, 1500, 1800]),
        (7.3, 7.6, 4, [7.3, 7.4, 7.5, 7.6]),
        (0, 700_000, 6, [0, 129_600, 259_200, 388_800, 518_400, 648_000]),
    ],
)
def test_round_times(start: float, end: float, most: int, times: list[float]) -> None:
    assert round_times(start, end, most) == pytest.approx(times)


def test_times_as_people_write_them() -> None:
    assert [time_text(7.46, step, 20) for step in (1, 0.1)] == ["7", "7.5"]
    assert time_text(59.96, 0.1, 90) == "1:00.0"
    assert time_text(65, 1, 90) == "1:05"
    assert time_text(65, 1, 5000) == "0:01:05"
    assert time_text(3725.2, 0.1, 5000) == "1:02:05.2"


def test_numbers_are_short_and_paths_do_not_drift(rng: np.random.Generator) -> None:
    short = [number(value) for value in (0, -0.04, 0.5, -0.5, 10, 10.25)]
    assert short == ["0", "0", ".5", "-.5", "10", "10.2"]
    x, y = np.cumsum(rng.random(500)), rng.random(500) * 92
    found = [float(word) for word in re.split("[l ]", path(x, y)[1:])]
    last = np.array(found).reshape(-1, 2).sum(axis=0)
    assert last == pytest.approx([x[-1], y[-1]], abs=0.051)


@pytest.mark.parametrize("label", COLORS)
@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((0, 0, 0), (255, 255, 255)),
        ((27, 30, 35), (255, 255, 255)),
        ((232, 234, 237), (21, 23, 27)),
    ],
)
def test_every_label_stands_out(label: str, ink: tuple[int, ...], paper: tuple[int, ...]) -> None:
    svg = timeline_plot([person([0.0, 1.0], [[1.0], [1.0]], (label,))]).svg
    share = int(re.search(r"color-mix\(in srgb,#\w+ (\d+)%,currentColor\)", svg)[1]) / 100  # type: ignore[index]
    mixed = tuple(share * c + (1 - share) * i for c, i in zip(COLORS[label], ink, strict=True))
    assert contrast(mixed, paper) >= 3


def test_an_image_becomes_a_small_square(astronaut: np.ndarray) -> None:
    import base64
    import io

    from PIL import Image

    uri = picture_uri(astronaut[:, :300], 92)
    picture = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert (picture.format, picture.size) == ("JPEG", (92, 92))
    assert len(uri) < 8_000
