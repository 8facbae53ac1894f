"""Faces that are not usable: they have a reason, and count only on request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers.results import frame_result, mostly, save_table
from rich.console import Console
from typer.testing import CliRunner

from mien.cli.commands import app
from mien.cli.output.videos import show_people
from mien.cli.viewer.saved import Viewer
from mien.faces.quality import REASONS, assess, unfit_reasons
from mien.reports import report_page
from mien.reports.highlights import highlights
from mien.results.collection import Results
from mien.results.files import SUFFIXES
from mien.results.peaks import Peak, Peaks
from mien.results.result import Result
from mien.results.settings import RunSettings
from mien.timeline.timeline import Timeline
from mien.types import Faces

SAD, GLAD = mostly("sadness"), mostly("happiness", 0.95)


def story(unfit: Sequence[tuple[float, float]] = ((5, 10),), people: int = 1) -> Iterator[Result]:
    """Ten seconds, 10 a second: 1 is sad for 5 s, then very glad, and `unfit` from when to when.

    2, if wanted, is sad and fit all the time.
    """
    for index in range(100):
        time_s = index / 10
        shown = {1: SAD if time_s < 5 else GLAD, 2: SAD}
        bad = any(start <= time_s < end for start, end in unfit)
        yield frame_result(
            time_s,
            {who: shown[who] for who in range(1, people + 1)},
            index=index,
            unfit={1: "blurred"} if bad else {},
        )


@pytest.fixture
def half() -> Timeline:
    return Timeline.from_results(story())


def test_a_face_says_why_it_is_unfit() -> None:
    known = {
        "size_px": [50, 10, 50, 50, 50, 10],
        "sharpness": [0.03, 0.03, 0.001, 0.08, 0.03, 0.001],
    }
    yaw = [np.nan, 0, 0, 60, 60, 60]
    found = unfit_reasons(*(np.array(v, np.float32) for v in (*known.values(), yaw)))
    assert found.tolist() == ["", "too_small", "blurred", "noisy", "turned", "too_small"]
    assert set(found) <= {"", *REASONS}
    flat = assess(Faces(np.array([[0, 0, 50, 50]], np.float32)), np.zeros((1, 9, 9, 3), np.uint8))
    assert flat.fit.tolist() == [False]
    assert flat.columns()["unfit_reason"].tolist() == ["blurred"]
    assert unfit_reasons(*np.zeros((3, 0), np.float32)).shape == (0,)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_reason_comes_back_from_every_table(tmp_path: Path, suffix: str) -> None:
    path = save_table(story(), tmp_path / f"t{suffix}")
    faces = Timeline.load(path).faces
    assert faces["unfit_reason"].isna().sum() == faces["fit"].sum() == 50
    assert faces["unfit_reason"].dropna().unique().tolist() == ["blurred"]
    last = Results.load(path)[-1]
    assert last.quality.reason.tolist() == ["blurred"]
    assert last.to_dict()["faces"][0]["quality"]["unfit_reason"] == "blurred"


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_tables_of_version_0_1_load_and_say_why(tmp_path: Path, suffix: str) -> None:
    path = save_table(story(), tmp_path / f"t{suffix}")
    timeline = Timeline.load(path)
    small = timeline.faces["frame"] % 2 == 1
    old = timeline.faces.drop(columns="unfit_reason")
    old["size_px"] = old["size_px"].mask(small & ~old["fit"], 8.0)
    Timeline(old, timeline.images, timeline.settings, timeline.labels).save(path, overwrite=True)
    again = Timeline.load(path)
    unfit = again.faces[~again.faces["fit"]]
    assert unfit["unfit_reason"].value_counts().to_dict() == {"too_small": 25, "unknown": 25}
    assert again.faces["unfit_reason"].isna().sum() == 50
    assert again.unfit()["duration_s"].tolist() == pytest.approx([5.0])
    assert Results.load(path)[-1].quality.fit.tolist() == [False]


def test_unfit_faces_count_nowhere_by_default(half: Timeline) -> None:
    for timeline in (half, half.smooth(1.0)):
        assert timeline.segments()["emotion"].tolist() == ["sadness"]
        assert timeline.segments()["end_s"].tolist() == pytest.approx([5.0])
        for row in timeline.summary().to_dict("records"):
            assert row["visible_s"] == pytest.approx(10)
            assert row["fit_share"] == pytest.approx(0.5)
            assert row["share_sadness"] == pytest.approx(1)
            assert row["mean_happiness"] < 0.05
            assert row["peak_emotion"] == "sadness"
            assert row["changes_per_min"] == 0
        group = timeline.group().iloc[0]
        assert (group["emotion"], group["n_faces"]) == ("sadness", pytest.approx(1))
        assert group["fit_share"] == pytest.approx(0.5)
        assert group["mean_happiness"] < 0.05
        rows = timeline.group(5.0)
        assert rows["fit_share"].tolist() == pytest.approx([1, 0])
        assert rows["emotion"].tolist() == ["sadness", pd.NA]
        assert [clip.emotion for clip in highlights(timeline)] == ["sadness"]
        assert "happiness" not in timeline.plot().svg
        assert "happiness" not in timeline.plot(group=True).svg


def test_all_faces_count_where_asked_for(half: Timeline, tmp_path: Path) -> None:
    everything = half.with_all_faces()
    assert everything.segments()["emotion"].tolist() == ["sadness", "happiness"]
    row = everything.summary().iloc[0]
    assert row["share_happiness"] == pytest.approx(0.5)
    assert row["fit_share"] == pytest.approx(0.5)  # the share is given in any case
    assert row["peak_emotion"] == "happiness"
    assert everything.group()["mean_happiness"].item() > 0.4
    assert "happiness" in everything.plot().svg
    smooth = half.smooth(1.0).with_all_faces()
    pd.testing.assert_frame_equal(smooth.faces, everything.smooth(1.0).faces)
    assert smooth.with_all_faces(False).summary().equals(half.smooth(1.0).summary())
    again = Timeline.load(everything.save(tmp_path / "t.parquet"))
    assert again.all_faces
    assert again.summary().equals(everything.summary())


def test_unfit_faces_do_not_bleed_into_their_neighbors(half: Timeline) -> None:
    smooth = half.smooth(2.0).faces
    assert smooth.loc[smooth["fit"], "happiness"].max() < 0.05
    assert smooth.loc[~smooth["fit"], "sadness"].max() < 0.05


def test_what_is_shorter_than_a_segment_is_bridged() -> None:
    blink = Timeline.from_results(story(unfit=[(2.0, 2.3)]))
    assert blink.segments()["end_s"].tolist() == pytest.approx([5.0, 10.0])
    assert not len(blink.unfit())
    longer = Timeline.from_results(story(unfit=[(2.0, 2.6), (7.0, 9.0)]))
    assert longer.unfit()["start_s"].tolist() == pytest.approx([2.0, 7.0])
    assert longer.segments()["start_s"].tolist() == pytest.approx([0.0, 2.6, 5.0, 9.0])
    assert longer.unfit()["unfit_reason"].tolist() == ["blurred"] * 2


def test_the_group_is_of_the_faces_that_count() -> None:
    two = Timeline.from_results(story(people=2))
    group = two.group().iloc[0]
    assert group["n_faces"] == pytest.approx(2)
    assert group["fit_share"] == pytest.approx(0.75)
    assert group["mean_sadness"] > 0.75
    everyone = two.summary().iloc[-1]
    assert everyone["share_sadness"] == pytest.approx(1)
    assert everyone["visible_s"] == pytest.approx(10)
    assert everyone["fit_share"] == pytest.approx(0.75)
    assert two.with_all_faces().summary().iloc[-1]["share_sadness"] == pytest.approx(0.75)


def test_where_nothing_is_fit_nothing_is_invented(tmp_path: Path) -> None:
    none = Timeline.from_results(story(unfit=[(0, 10)]))
    assert not len(none.segments())
    row = none.summary().iloc[0]
    assert row["fit_share"] == 0
    assert row[["peak_emotion", "share_sadness", "mean_sadness", "peak_s"]].isna().all()
    assert none.group()["emotion"].isna().all()
    assert none.group()["mean_sadness"].isna().all()
    assert "No face was fit to be judged" in report_page(none)
    assert "100 % of the visible face time (10.0 s) is unfit" in none.unfit_note
    none.plot()
    none.plot(group=True)
    assert "-->" not in none.export(tmp_path / "t.vtt").read_text()


def test_exports_state_the_usable_share(half: Timeline, tmp_path: Path) -> None:
    sentence = "50 % of the visible face time (5.0 s) is unfit to be judged (blurred 50 %)"
    vtt = half.export(tmp_path / "t.vtt").read_text()
    assert f"{sentence} and is left out." in vtt
    assert "happiness" not in vtt
    root = ElementTree.parse(half.export(tmp_path / "t.eaf")).getroot()
    notes = [p.text for p in root.iter("PROPERTY") if p.get("NAME") == "mien:note"]
    assert notes == [f"{sentence} and is left out."]
    assert [v.text for v in root.iter("ANNOTATION_VALUE")] == ["sadness"]
    both = half.with_all_faces().export(tmp_path / "both.vtt").read_text()
    assert f"{sentence} and counts as the rest does." in both
    assert "happiness" in both


def test_the_page_shades_and_explains(half: Timeline) -> None:
    html = re.sub("<(style|script)>.*?</\\1>", "", report_page(half), flags=re.DOTALL)
    assert "50 % of the visible face time (5.0 s) is unfit to be judged" in html
    assert html.count('class="mien-unfit"') == 2  # a drawing for wide, one for narrow screens
    assert "unfit: blurred" in html
    assert "happiness" not in html.partition("How this was made")[0].partition("lead")[2].replace(
        "60&nbsp;% happiness says", ""
    )
    assert (
        "mien-unfit"
        not in report_page(Timeline.from_results(story(unfit=())))
        .partition("</style>")[2]
        .partition("<script>")[0]
    )


def test_saved_faces_are_usable_where_there_is_one() -> None:
    peaks = Peaks()
    for index, (share, unfit) in enumerate([(0.99, True), (0.8, False), (0.97, True)]):
        reasons = {1: "blurred"} if unfit else {}
        peaks.add(
            frame_result(index / 10, {1: mostly("happiness", share)}, index=index, unfit=reasons)
        )
    assert [p.frame for p in peaks.found()] == [1]


def test_a_saved_face_that_is_not_usable_is_not_shown(half: Timeline) -> None:
    picture = np.full((16, 16, 3), 128, np.uint8)
    peak = Peak(1, "happiness", 80, 8.0, 0.95, picture, "film.mp4")
    shown = Timeline(half.faces, half.images, half.settings, half.labels, [peak])
    assert shown.counted_peaks == []
    assert "data:image" not in report_page(shown)
    assert shown.with_all_faces().counted_peaks == [peak]


def test_the_commands_agree_and_say_it(tmp_path: Path) -> None:
    table = save_table(story(), tmp_path / "t.parquet")
    run = CliRunner().invoke(app, ["report", str(table), "-o", str(tmp_path / "r.html")])
    assert run.exit_code == 0
    assert "50 % of the visible face time" in run.stderr
    run = CliRunner().invoke(app, ["summarize", str(table), "-o", str(tmp_path / "s")])
    assert "50 % of the visible face time" in run.stderr
    reported, summarized = (
        (tmp_path / name).read_text().partition("Segments")[2]
        for name in ("r.html", "s/index.html")
    )
    assert reported == summarized
    assert "Smoothed over 1 s." in (tmp_path / "r.html").read_text().replace("\u00a0", " ")
    every = ["export", str(table), "-o", str(tmp_path / "t.vtt"), "--all-faces"]
    run = CliRunner().invoke(app, every)
    assert "counts as the rest does" in run.stderr
    assert "happiness" in (tmp_path / "t.vtt").read_text()


@pytest.mark.parametrize("suffix", [".vtt", ".eaf", ".svg"])
def test_an_empty_export_says_so(tmp_path: Path, suffix: str) -> None:
    nobody = (frame_result(i / 10, {}, index=i) for i in range(5))
    table = save_table(nobody, tmp_path / "t.parquet")
    run = CliRunner().invoke(app, ["export", str(table), "-o", str(tmp_path / f"t{suffix}")])
    assert run.exit_code == 0
    assert "no face was found in film.mp4." in run.stderr
    table = save_table(story(unfit=[(0, 10)]), tmp_path / "u.parquet")
    run = CliRunner().invoke(app, ["export", str(table), "-o", str(tmp_path / f"u{suffix}")])
    assert run.exit_code == 0
    assert "no face in film.mp4 is fit to be judged" in run.stderr


def test_captions_and_the_viewer_say_why() -> None:
    results = list(story())
    assert "happiness 95 % (blurred)" in repr(results[99])
    assert "sadness 80 %" in repr(results[0])
    timeline = Timeline.from_results(results)
    tables = timeline.faces, timeline.images, timeline.labels
    viewer = Viewer(*tables, lambda *_: np.zeros((48, 64, 3), np.uint8))
    assert viewer.people(99)[0].wordings[0].endswith("happiness 95 % (blurred)")
    screen = viewer.next_screen()
    assert screen is not None
    assert screen.strip is not None
    strip = screen.strip
    assert len(np.unique(strip[50:], axis=0)) == 1
    assert not (strip[50:] == strip[0]).all(axis=1).any()


@pytest.mark.parametrize(("width", "other"), [(80, True), (160, False)])
def test_the_terminal_table_fits_and_hides_empty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, other: bool
) -> None:
    monkeypatch.setattr("mien.cli.output.videos.console", lambda: Console(width=width))
    names = ["neutral", "sadness", "anger", "fear", "disgust", "contempt", "surprise"]
    rows = [frame_result(i, {1: mostly(names[i])}, index=i, unfit={}) for i in range(7)]
    show_people(
        Timeline.from_results([*rows, frame_result(7, {1: SAD}, index=7, unfit={1: "turned"})])
    )
    printed = capsys.readouterr()
    assert max(len(line) for line in printed.out.splitlines()) <= width
    head = printed.out.splitlines()[1].split()
    assert "happiness" not in head
    assert ("other" in head) is other
    assert head[:3] == ["person", "visible", "fit"]
    row = printed.out.splitlines()[2].split()
    assert row[:4] == ["Person", "1", "0:08.0", "88"]
    assert sum(int(cell) for cell in row[4:-2]) in range(97, 104)
    assert "turned" in printed.err


def test_many_videos_are_listed_at_the_top() -> None:
    parts = [Timeline.from_results(story(unfit)) for unfit in ([(5, 10)], [(0, 10)], [(0, 3)])]
    both = Timeline(
        pd.concat([p.faces.assign(source=f"{i}.mp4") for i, p in enumerate(parts)]),
        pd.concat([p.images.assign(source=f"{i}.mp4") for i, p in enumerate(parts)]),
        RunSettings(),
        parts[0].labels,
    )
    html = report_page(both)
    for number in (1, 2, 3):
        assert f'href="#video-{number}"' in html
        assert f'id="video-{number}"' in html
    rows = re.findall(r'<tr><th scope="row"><a .*?</tr>', html)
    cells = [re.findall(r">([^<>]+)</", row.replace("\u00a0", " ")) for row in rows]
    assert [cell[0] for cell in cells] == ["0.mp4", "1.mp4", "2.mp4"]
    assert [cell[4:] for cell in cells] == [
        ["50 %", "sadness 100 %"],
        ["0 %", "–"],
        ["70 %", "happiness 71 %"],
    ]
    assert html.count("No face was fit to be judged") == 1


@pytest.mark.parametrize("unfit", [{}, {0: "blurred"}])
def test_tables_of_photos_are_exported_as_they_are(tmp_path: Path, unfit: dict[int, str]) -> None:
    photos = [frame_result(None, {0: SAD}, source=f"{i}.jpg", unfit=unfit) for i in range(3)]
    table = Results(photos).save(tmp_path / "t.parquet")
    run = CliRunner().invoke(app, ["export", str(table), "-o", str(tmp_path / "t.csv")])
    assert run.exit_code == 0, run.output
    assert "unfit" not in run.stderr
    assert pd.read_csv(tmp_path / "t.csv")["unfit_reason"].notna().tolist() == [bool(unfit)] * 3


def test_a_printed_timeline_shows_its_answer(half: Timeline) -> None:
    lines = str(half.smooth(1.0)).splitlines()
    assert lines[0] == repr(half.smooth(1.0))
    assert [line.split() for line in lines[1:4]] == [
        ["film.mp4"],
        ["person", "visible", "fit", "sadness", "peak"],
        ["Person", "1", "0:10.0", "50", "100", "sadness", "0:00.0"],
    ]
    assert lines[4] == (
        "expressions: percent of the visible time fit to be judged, smoothed over 1 s"
    )
    assert max(map(len, lines)) <= 80
