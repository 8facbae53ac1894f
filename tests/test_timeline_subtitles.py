"""Subtitles and ELAN documents, read back by small readers of their rules."""

from __future__ import annotations

import html
import itertools
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import pandas as pd
import pytest
import typer
from helpers.story import CALM, GLAD, SAD, story, story_frame
from typer.testing import CliRunner

from mien.cli import exit_codes
from mien.cli.commands.export import export
from mien.errors import UsageError
from mien.results.files import SUFFIXES
from mien.timeline.subtitles import Stretch, write_elan, write_webvtt
from mien.timeline.timeline import Timeline

HARD = [
    Stretch("Person 1", "neutral", 0.0, 3599.9996, 0.876),
    Stretch("Person 1", "happiness", 3599.9996, 7325.25, 0.5),
    Stretch('A & <B>\n"C"', "x --> y <i>&amp;</i>\r\n\r\nz", 12.3456, 12.3457),
    Stretch("Person 1", "fear\0", 7325.25, 7325.2501, 1.0),
]
CLOCK = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"


def seconds(parts: tuple[str, ...]) -> float:
    hours, minutes, rest, thousandths = map(int, parts)
    return hours * 3600 + minutes * 60 + rest + thousandths / 1000


def cues(text: str) -> list[tuple[float, float, str, str]]:
    """Start, end, voice and text of every cue, by the rules of WebVTT; anything else fails."""
    head, *blocks = text.rstrip("\n").split("\n\n")
    assert head == "WEBVTT"
    assert "\r" not in text
    assert "\0" not in text
    found: list[tuple[float, float, str, str]] = []
    for block in blocks:
        if block.startswith("NOTE"):
            assert "-->" not in block
            continue
        _, timing, *lines = block.split("\n")
        match = re.fullmatch(f"{CLOCK} --> {CLOCK}", timing)
        assert match is not None
        assert len(lines) == 1
        payload = re.fullmatch(r"<v ([^<>]+)>([^<>]*)</v>", lines[0])
        assert payload is not None, lines
        assert all(re.match(r"&(amp|lt|gt);", part) for part in re.findall(r"&\S*", lines[0]))
        start, end = seconds(match.groups()[:4]), seconds(match.groups()[4:])
        assert end > start
        voice, caption = map(html.unescape, payload.groups())
        found.append((start, end, voice, caption))
    assert [cue[0] for cue in found] == sorted(cue[0] for cue in found)
    return found


def tiers(path: Path) -> dict[str, list[tuple[int, int, str]]]:
    """Each tier's annotations in milliseconds, by the rules of EAF 3.0; anything else fails."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "ANNOTATION_DOCUMENT"
    assert {"AUTHOR", "DATE", "FORMAT", "VERSION"} <= set(root.attrib)
    assert datetime.fromisoformat(root.attrib["DATE"]).tzinfo is not None
    order = [child.tag for child in root]
    ranks = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE"]
    assert order == sorted(order, key=ranks.index)
    assert order.count("HEADER") == order.count("TIME_ORDER") == 1
    assert all(child.tag in ("MEDIA_DESCRIPTOR", "PROPERTY") for child in root[0])
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root[1]}
    assert list(slots.values()) == sorted(set(slots.values()))
    assert len(slots) == len(root[1])
    assert min(slots.values(), default=0) >= 0
    kinds = {kind.attrib["LINGUISTIC_TYPE_ID"] for kind in root.iter("LINGUISTIC_TYPE")}
    names, found = list(slots), {}
    for tier in root.iter("TIER"):
        assert tier.attrib["LINGUISTIC_TYPE_REF"] in kinds
        assert tier.attrib["TIER_ID"] not in found
        spans = []
        for annotation in tier:
            [aligned] = annotation
            [value] = aligned
            names.append(aligned.attrib["ANNOTATION_ID"])
            start, end = (slots[aligned.attrib[f"TIME_SLOT_REF{i}"]] for i in (1, 2))
            spans.append((start, end, value.text or ""))
        assert all(start < end for start, end, _ in spans)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        found[tier.attrib["TIER_ID"]] = spans
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", name) for name in names)  # xsd:ID
    return found


def test_subtitles_of_names_and_times_that_are_hard(tmp_path: Path) -> None:
    text = write_webvtt(HARD, tmp_path / "t.vtt").read_text(encoding="utf-8")
    found = cues(text)
    assert found == [
        (0.0, 3600.0, "Person 1", "neutral 88 %"),
        (12.346, 12.347, 'A & <B> "C"', "x --> y <i>&amp;</i> z"),
        (3600.0, 7325.25, "Person 1", "happiness 50 %"),
        (7325.25, 7325.251, "Person 1", "fear\ufffd 100 %"),
    ]
    assert "02:02:05.250 --> 02:02:05.251" in text
    assert cues(write_webvtt([], tmp_path / "t.vtt").read_text()) == []
    hours = [Stretch("a", "b", 360_000.5, 360_001.5)]
    assert cues(write_webvtt(hours, tmp_path / "t.vtt").read_text())[0][0] == 360_000.5


def test_elan_of_names_and_times_that_are_hard(tmp_path: Path) -> None:
    path = write_elan(HARD, tmp_path / "t.eaf", str(tmp_path / "a film & more.mp4"))
    assert tiers(path) == {
        "Person 1": [
            (0, 3_600_000, "neutral"),
            (3_600_000, 7_325_250, "happiness"),
            (7_325_250, 7_325_251, "fear\ufffd"),
        ],
        'A & <B>\n"C"': [(12_346, 12_347, "x --> y <i>&amp;</i>\n\nz")],
    }
    assert tiers(write_elan([], tmp_path / "t.eaf")) == {}


def test_rounding_never_makes_annotations_overlap(tmp_path: Path) -> None:
    tiny = [Stretch("a", "b", i * 0.0001, (i + 1) * 0.0001) for i in range(100)]
    spans = tiers(write_elan(tiny, tmp_path / "t.eaf"))["a"]
    assert len(spans) == 100
    assert cues(write_webvtt([Stretch("a", "b", -0.5, 1.0)], tmp_path / "t.vtt").read_text())[0][
        :2
    ] == (0.0, 1.0)


def test_elan_finds_the_video(tmp_path: Path) -> None:
    film = tmp_path / "films" / "süße & 100%.mp4"
    film.parent.mkdir()
    (tmp_path / "out").mkdir()
    for place, near in (("out", "../films"), ("films", ".")):
        root = ElementTree.parse(write_elan(HARD, tmp_path / place / "t.eaf", str(film))).getroot()
        media = root[0][0].attrib
        assert media["MIME_TYPE"] == "video/mp4"
        assert unquote(urlparse(media["MEDIA_URL"]).path) == str(film)
        assert urlparse(media["MEDIA_URL"]).scheme == "file"
        assert unquote(media["RELATIVE_MEDIA_URL"]) == f"{near}/{film.name}"
    root = ElementTree.parse(
        write_elan(HARD, tmp_path / "t.eaf", "rtsp://host/live?a=1&b")
    ).getroot()
    assert root[0][0].attrib == {"MEDIA_URL": "rtsp://host/live?a=1&b", "MIME_TYPE": "unknown"}


def test_a_timeline_as_subtitles_and_annotations(tmp_path: Path) -> None:
    film = Timeline.from_results(story(str(tmp_path / "film.mp4")))
    found = cues(film.export(tmp_path / "t.vtt").read_text())
    assert found == [
        (0.0, 4.0, "Person 1", "sadness 80 %"),
        (2.0, 5.0, "Person 2", "neutral 70 %"),
        (4.0, 10.0, "Person 1", "happiness 90 %"),
        (7.0, 10.0, "Person 2", "neutral 70 %"),
    ]
    assert tiers(film.export(tmp_path / "t.eaf")) == {
        "Person 1": [(0, 4000, "sadness"), (4000, 10000, "happiness")],
        "Person 2": [(2000, 5000, "neutral"), (7000, 10000, "neutral")],
    }
    assert len(cues(film.track(2).export(tmp_path / "t.vtt").read_text())) == 2
    assert {p.name for p in tmp_path.iterdir()} == {"t.eaf", "t.vtt"}


def test_tables_are_exported_as_shown(tmp_path: Path) -> None:
    smooth = Timeline.from_results(story()).smooth(2.0)
    for suffix in SUFFIXES:
        path = smooth.export(tmp_path / f"t{suffix}")
        loaded = Timeline.load(path)
        pd.testing.assert_frame_equal(loaded.faces, smooth.faces)
        assert loaded.raw is loaded  # not smoothed a second time
        assert len(loaded.images) == 250
    assert loaded.settings.values == "smoothed over 2 s"


def test_impossible_paths_and_videos(tmp_path: Path) -> None:
    film = Timeline.from_results(story())
    with pytest.raises(UsageError, match=r"use \.vtt, \.eaf, \.parquet"):
        film.export(tmp_path / "t.srt")
    with pytest.raises(UsageError, match="there is no folder"):
        film.export(tmp_path / "none" / "t.vtt")
    (tmp_path / "d.eaf").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        film.export(tmp_path / "d.eaf")
    both = Timeline.from_results([*story("a.mp4"), *story("b.mp4")])
    with pytest.raises(
        UsageError, match=r"one video, this table is of a\.mp4, b\.mp4: choose one with --video"
    ):
        both.export(tmp_path / "t.vtt")
    assert len(cues(both.source("b.mp4").export(tmp_path / "t.vtt").read_text())) == 4


@pytest.fixture
def table(tmp_path: Path) -> Path:
    flicker = (
        story_frame(i, [(1, GLAD if i % 50 == 7 else SAD if i < 100 else CALM)]) for i in range(200)
    )
    return Timeline.from_results(flicker).save(tmp_path / "t.parquet")


def mien_export(*arguments: object) -> tuple[int, str]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(exit_codes.with_exit_code(export))
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.output


def test_the_command(tmp_path: Path, table: Path) -> None:
    out = tmp_path / "t.vtt"
    assert mien_export(table, "-o", out) == (0, f"wrote {out}\n")
    assert [cue[3].split()[0] for cue in cues(out.read_text())] == ["sadness", "neutral"]
    assert mien_export(table, "-o", out, "--min-segment", 0, "--smooth", 0)[0] == 0
    assert len(cues(out.read_text())) == 10
    assert mien_export(table, "-o", out, "--min-segment", 0)[0] == 0  # over 1 s
    assert len(cues(out.read_text())) < 5
    assert "Smoothed over 1 s." in out.read_text()
    assert mien_export(table, "-o", tmp_path / "s.csv", "--smooth", 1)[0] == 0
    assert len(pd.read_csv(tmp_path / "s.csv")) == 200
    assert mien_export(table, "-o", tmp_path / "t.eaf")[0] == 0
    assert list(tiers(tmp_path / "t.eaf")) == ["Person 1"]


def test_one_video_of_several_or_a_file_each(tmp_path: Path) -> None:
    both = [*story("a/talk.mp4"), *story("b/talk.mp4"), *story("walk.mp4")]
    table = Timeline.from_results(both).save(tmp_path / "walk.parquet")
    out = tmp_path / "t.vtt"
    code, said = mien_export(table, "-o", out)
    assert (code, "--video" in said) == (2, True)
    assert mien_export(table, "-o", out, "--video", "b/talk.mp4")[0] == 0
    assert len(cues(out.read_text())) == 4
    assert mien_export(table, "-o", out, "--video", "walk")[0] == 0
    code, said = mien_export(table, "-o", out, "--video", "talk.mp4")
    assert (code, "no single video is called 'talk.mp4'" in said) == (2, True)
    assert mien_export(table, "-o", tmp_path / "{video}.eaf")[0] == 0
    names = sorted(path.name for path in tmp_path.glob("*.eaf"))
    assert names == ["talk-2.eaf", "talk.eaf", "walk.eaf"]
    before = table.read_bytes()
    assert mien_export(table, "-o", tmp_path / "{video}.parquet")[0] == 2
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.parquet", "-o", "t.vtt"], 3, "no such file: none.parquet"),
        (["TABLE", "-o", "TABLE"], 2, "is the table itself"),
        (["TABLE", "-o", "t.doc"], 2, "unsupported file type"),
        (["TABLE", "-o", "/nowhere/t.vtt"], 2, "no folder /nowhere"),
        (["TABLE", "-o", "t.vtt", "--smooth", "-1"], 2, "seconds must be a number from 0"),
        (["TABLE", "-o", "t.vtt", "--min-segment", "-1"], 2, "0 seconds or more"),
        (["PHOTOS", "-o", "t.vtt"], 2, "it is of photos"),
    ],
)
def test_wrong_use_of_the_command_is_one_sentence(
    table: Path, arguments: list[str], code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    photos = Timeline.from_results([story_frame(0, [(1, GLAD)], time_s=None)])
    known = {"TABLE": str(table), "PHOTOS": str(photos.save("photos.csv"))}
    status, output = mien_export(*(known.get(a, a) for a in arguments))
    assert status == code
    assert words in output
    assert output.count("\n") == 1
    assert "Traceback" not in output
