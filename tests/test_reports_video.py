"""The report of a video: complete, loads nothing, and no name breaks out of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from mien.cli.commands.report import report
from mien.cli.exit_codes import with_exit_code
from mien.errors import UsageError
from mien.labels import EMOTIONS
from mien.models.session import file_sha256
from mien.plugins import model_path
from mien.reports import PEOPLE, SEGMENTS, report_page, write_report
from mien.reports.methods import model_card
from mien.results.peaks import Peak
from mien.results.settings import RunSettings
from mien.results.tables import IMAGE_DTYPES, face_dtypes
from mien.timeline.timeline import Timeline

RATE = 10
Stretch = tuple[float, float, str]  # from, to, label


def settings(**changes: str) -> RunSettings:
    sha256 = hashlib.sha256(model_path("mien-mobilenet").read_bytes()).hexdigest()
    texts = {
        "mien_version": "0.2.0",
        "detector": "mtcnn",
        "detector_settings": '{"min_score": 0.9}',
        "classifier": "mien-mobilenet",
        "classifier_sha256": sha256,
        "without": "",
        "uncertain_below": "0.5",
        **changes,
    }
    return RunSettings.from_metadata(texts)


def film(
    people: Mapping[int, Sequence[Stretch]],
    seconds: float = 4,
    *,
    source: str = "walk.mp4",
    peaks: Sequence[Peak] = (),
    status: Mapping[int, str] | None = None,
    **changes: str,
) -> Timeline:
    """A film in which each person shows one label at 0.9 after the other."""
    count = int(seconds * RATE)
    images: dict[str, Any] = {
        "source": [source] * count,
        "frame": np.arange(count),
        "time_s": np.arange(count) / RATE,
        "width": [320] * count,
        "height": [240] * count,
        "n_faces": np.zeros(count, int),
        "status": [(status or {}).get(i, "ok") for i in range(count)],
        "error": [None] * count,
        "milliseconds": np.full(count, 25.0),
    }
    rows = []
    for place, (person, stretches) in enumerate(people.items()):
        for start, end, label in stretches:
            for frame in range(round(start * RATE), round(end * RATE)):
                if images["status"][frame] != "ok":
                    continue
                images["n_faces"][frame] += 1
                values = dict.fromkeys(EMOTIONS, 0.1 / 7) | {label: 0.9}
                row = {"source": source, "frame": frame, "time_s": frame / RATE, "face": place}
                row |= {"track_id": person, "emotion": label, "probability": 0.9, **values}
                rows.append(row)
    types = face_dtypes(EMOTIONS)
    faces = pd.DataFrame(rows, columns=list(types)).astype(types)
    return Timeline(
        faces,
        pd.DataFrame(images).reindex(columns=list(IMAGE_DTYPES)).astype(IMAGE_DTYPES),
        settings(**changes),
        EMOTIONS,
        peaks,
    )


def couple(**more: Any) -> Timeline:
    people = {
        1: [(0, 2, "sadness"), (2, 4, "happiness")],
        2: [(1, 3, "neutral")],
    }
    return film(people, **more)


class Page(HTMLParser):
    """Elements that are open and never closed, addresses, texts by heading."""

    EMPTY = ("meta", "br", "img", "path", "rect", "circle", "image", "link")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.addresses += [
            v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data.replace("\u00a0", " ")


def page(timeline: Timeline) -> Page:
    found = Page(report_page(timeline))
    assert found.open == []
    assert all(address.startswith(("data:image/", "#video-")) for address in found.addresses)
    return found


def squeezed(found: Page) -> str:
    return re.sub(r"\s+", " ", found.text)


def test_it_says_what_was_found(astronaut: np.ndarray) -> None:
    peaks = [Peak(1, "happiness", 25, 2.5, 0.93, astronaut[::4, ::4], "walk.mp4")]
    found = page(couple(peaks=peaks, status={38: "error", 39: "dropped"}))
    text = squeezed(found)
    assert "walk.mp4" in text
    for words in (
        "duration 4.0 s",
        "people 2",
        "frames analyzed 38",
        "failed could not be read 1",
        "dropped came too fast 1",
        "per frame 40 frames/s 25 ms",
        "Person 1 sadness 0.0 s 2.0 s 2.0 s 90 %",
        "Person 2 neutral 1.0 s 3.0 s 2.0 s 90 %",
        "how faces look to viewers",
        "happiness 93 % at 2.5 s",
        "uncertain below 50 %",
    ):
        assert words in text
    assert (
        sum(a.startswith("data:image/jpeg") for a in found.addresses) == 3
    )  # two drawings, a card


def test_a_face_is_shown_only_where_viewers_would_agree(astronaut: np.ndarray) -> None:
    picture = astronaut[::4, ::4]
    moments = [(2.5, 0.49), (float("nan"), 0.9)]
    peaks = [Peak(1, "happiness", 25, t, p, picture, "walk.mp4") for t, p in moments]
    assert page(couple(peaks=peaks)).addresses == []
    assert len(page(couple(peaks=peaks, uncertain_below="0.4")).addresses) == 3


def test_figures_of_the_model_do_not_speak_for_a_head() -> None:
    path = model_path("mien-mobilenet")
    own = RunSettings(classifier="mien-mobilenet", classifier_sha256=file_sha256(path))
    assert model_card(own)[0] is not None
    units = ({"name": "au", "sha256": "", "task": "action-units"},)
    assert model_card(replace(own, heads=units))[0] is not None
    hers = ({"name": "hers", "sha256": "", "task": "expression"},)
    card, why = model_card(replace(own, heads=hers))
    assert card is None
    assert "Labels come from the head hers" in why


def test_the_model_card_is_that_of_the_model_that_was_used() -> None:
    text = squeezed(page(couple()))
    assert "Model card" in text
    assert "literature_test" in text
    assert "six of ten people would call the face happy" in text
    other = squeezed(page(couple(classifier_sha256="0" * 64)))
    assert "another version of the model than was used" in other
    assert "literature_test" not in other
    own = squeezed(page(couple(classifier="my-own")))
    assert "Expressions predicted by my-own" in own
    assert "six of ten" not in own


def test_the_group_has_a_curve_with_spread_and_number_of_faces() -> None:
    html = report_page(couple())
    assert "Everyone: mean of 1 to 2 faces at a time" in html
    assert html.count('class="mien-band"') == html.count('class="mien-faces"') * 3 == 6
    assert "one standard deviation of the faces" in html
    # sadness 0.9 beside neutral 0.9: means of 0.46, each face 0.44 away
    svg = html.partition("<svg")[2].partition("</svg>")[0]
    band = svg.partition('class="mien-band"')[2].partition('"')[2].partition('"')[0]
    assert band.startswith("M")
    alone = report_page(film({1: [(0, 2, "sadness")]}))
    assert "mien-band" not in alone.partition("</style>")[2]
    assert "one standard deviation of the faces" not in alone


def test_valence_and_arousal_are_drawn_where_the_table_has_them() -> None:
    assert "Valence and arousal" not in report_page(couple())
    html = report_page(couple().derive_affect())
    assert html.count('class="mien-plane"') == 4  # two people, on wide and on narrow screens
    assert "Derived from the probabilities, not measured" in html
    timeline = couple()
    faces = timeline.faces.assign(valence=np.float32(0.3), arousal=np.float32(0.1))
    measured = Timeline(faces, timeline.images, timeline.settings, EMOTIONS)
    assert "Not measured" not in report_page(measured)
    assert "As measured by the model" in squeezed(page(measured))


def test_clips_are_videos_with_a_poster_or_animated_images() -> None:
    from mien.reports.highlights import Clip

    told_ = {"source": "walk.mp4", "track_id": 1, "emotion": "sadness", "start_s": 0.0}
    told_ |= {"end_s": 2.0, "strength": 0.9, "peak_s": 1.0}
    clips = [Clip(**told_, file=Path("a b.mp4")), Clip(**told_, file=Path("c.gif")), Clip(**told_)]  # type: ignore[arg-type]
    html = report_page(couple(), clips)
    assert html.count("<video") == 1
    assert '<video src="a%20b.mp4" poster="a%20b.jpg"' in html
    assert '<img src="c.gif" alt="sadness, Person 1, 0.0' in html
    assert "1. <i" in html


def test_the_caption_says_which_part_of_a_long_run_a_clip_shows() -> None:
    from mien.reports.highlights import Clip

    whole = Clip("walk.mp4", 1, "sadness", 0.0, 3.0, 0.9, 1.0, Path("a.mp4"), (0.0, 3.5))
    part = Clip("walk.mp4", 1, "sadness", 0.0, 3.0, 0.9, 1.0, Path("b.mp4"), (0.5, 1.5))
    text = report_page(couple(), [whole, part]).replace("\u00a0", " ")
    assert text.count("the clip shows") == 1
    assert "0.0 s to 3.0 s, mean probability 90 %; the clip shows 0.5 s to 1.5 s" in text


def test_exported_plots_name_their_video() -> None:
    for plot in (couple().plot(), couple().plane(), couple().plot(group=True)):
        assert ">walk.mp4</text>" in plot.svg
    assert ">walk.mp4</text>" not in report_page(couple())  # the page has its own title


def test_smoothing_is_stated() -> None:
    assert "Smoothed over" not in squeezed(page(couple()))
    assert "Smoothed over 0.6 s" in squeezed(page(couple().smooth(0.6)))


def test_no_name_breaks_out(astronaut: np.ndarray) -> None:
    name = "C:\\films\\<script>alert('x')\"&.mp4"
    peaks = [Peak(1, "happiness", 25, 2.5, 0.93, astronaut[::4, ::4], name)]
    timeline = couple(source=name, peaks=peaks, detector="<b>x</b>", surprise="</script>")
    found = page(timeline)
    assert found.tags.count("script") == 1
    assert "b" not in found.tags
    assert "<script>alert('x')\"&.mp4" in found.text
    assert "C:" not in found.text  # the folders on the author's machine are not shown


def test_without_a_face() -> None:
    text = squeezed(page(film({})))
    assert "No face was found" in text
    assert "40 of them" not in text
    assert "100 % of them" in text


def test_faces_without_track_ids() -> None:
    timeline = couple()
    faces = timeline.faces.assign(track_id=pd.array([None] * len(timeline.faces), "Int64"))
    text = squeezed(page(Timeline(faces, timeline.images, timeline.settings, EMOTIONS)))
    assert "All faces" in text
    assert "Person" not in text
    assert "Segments" not in text


def test_many_people_are_folded() -> None:
    people = {i: [(0, 1 + i / 10, "happiness")] for i in range(1, 31)}
    html = report_page(film(people, 5))
    assert f"{30 - PEOPLE} more, visible for less time" in html
    first, folded = html.split("<summary>", 1)
    assert "Person 30" in first
    assert "Person 1<" not in first
    assert "Person 1<" in folded


def test_only_the_longest_segments_are_listed() -> None:
    labels = ("happiness", "sadness")
    stretches = [(i * 0.5, i * 0.5 + 0.5, labels[i % 2]) for i in range(SEGMENTS + 60)]
    seconds = (SEGMENTS + 60) * 0.5
    text = squeezed(page(film({4: stretches}, seconds))).partition("Table of segments")[2]
    assert f"the {SEGMENTS} longest of {SEGMENTS + 60}" in text
    assert text.count("Person 4 happiness") + text.count("Person 4 sadness") == SEGMENTS


def test_several_videos_follow_one_another_and_photos_are_counted() -> None:
    one, two = couple(), couple(source="run.mp4")
    photo = film({}, 0.1, source="a.jpg")
    images = photo.images.assign(time_s=np.nan)
    both = Timeline(
        pd.concat([one.faces, two.faces]),
        pd.concat([one.images, two.images, images]),
        settings(),
        EMOTIONS,
    )
    text = squeezed(page(both))
    assert "2 videos" in text
    assert text.index("walk.mp4") < text.index("run.mp4")
    assert "1 of the inputs have no times" in text
    with pytest.raises(UsageError, match="nothing in this table has a time"):
        report_page(Timeline(photo.faces, images, settings(), EMOTIONS))


def test_half_an_hour_is_a_small_page(astronaut: np.ndarray) -> None:
    cycle = [(i * 30.0, i * 30.0 + 30, EMOTIONS[i % 4]) for i in range(60)]
    picture = astronaut[::4, ::4]
    peaks = [Peak(i, name, 0, 10.0, 0.9, picture, "walk.mp4") for i in (1, 2) for name in EMOTIONS]
    html = report_page(film({1: cycle, 2: cycle[10:]}, 1800, peaks=peaks))
    assert len(html) < 700_000
    assert "Each point is the mean of about 1.9" in html


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    assert write_report(couple(), target) == target
    assert target.read_text("utf-8").startswith("<!doctype html>")
    with pytest.raises(UsageError, match=r"must end in \.html"):
        write_report(couple(), tmp_path / "r.pdf")
    with pytest.raises(UsageError, match="there is no folder"):
        write_report(couple(), tmp_path / "no" / "r.html")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_the_command(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(with_exit_code(report))
    run = CliRunner().invoke
    table, out = tmp_path / "t.parquet", tmp_path / "r.html"
    boxed = couple().faces.assign(x1=0.0, y1=0.0, x2=9.0, y2=9.0)
    replace(couple(), faces=boxed).save(table)
    done = run(app, [str(table), "-o", str(out), "--smooth", "0.5"])
    assert done.exit_code == 0, done.output
    assert str(out) in done.output
    assert "Smoothed over 0.5 s" in squeezed(Page(out.read_text("utf-8")))
    assert run(app, [str(table)]).exit_code == 0
    assert (tmp_path / "t.html").is_file()
    assert run(app, [str(table), "-o", str(out), "--affect"]).exit_code == 0
    assert "mien-plane" in out.read_text("utf-8")
    for arguments, code, words in (
        ([str(tmp_path / "no.parquet"), "-o", str(out)], 3, "no.parquet"),
        ([str(tmp_path / "t.images.parquet")], 2, f"give that of faces, {table}"),
        ([str(table), "-o", str(tmp_path / "r.txt")], 2, "must end in .html"),
        ([str(table), "-o", str(out), "--smooth", "-1"], 2, "from 0 to 1,000,000"),
    ):
        failed = run(app, arguments)
        assert failed.exit_code == code
        assert words in failed.output
        assert "Traceback" not in failed.output
        assert len(failed.output.strip().splitlines()) == 1
