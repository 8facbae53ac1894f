"""People across cuts and videos: identities, names, and what can be wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.people import D, Names, face_of, shot_frame, video_of_shots

from mien import EmotionAnalyzer, Timeline
from mien.errors import InputError, InputNotFoundError, UsageError
from mien.labels import EMOTIONS, IDENTITY
from mien.media.images import write_image
from mien.people.enrollment import known_faces, known_images
from mien.people.identities import find_people
from mien.reports.people import people_page, short_names, write_people_page
from mien.results.embeddings import Embeddings
from mien.timeline.concat import join
from mien.types import Crops, FloatArray, Image, Scores


@pytest.fixture
def cuts() -> Timeline:
    """Two people in shot and countershot, then both, then nobody, then a third."""
    shots: tuple[Names, ...] = ({1: "anna"}, {2: "bert"}, {3: "anna"}, {4: "bert", 5: "anna"})
    return video_of_shots("talk.mp4", *shots, {}, {6: "cleo"})


def test_one_row_a_person_across_cuts(cuts: Timeline) -> None:
    found = cuts.identify().table
    assert found["person"].tolist() == [1, 2, 3]
    assert found["name"].tolist() == ["person 1", "person 2", "person 3"]
    assert found["tracks"].tolist() == [3, 2, 1]
    assert found["films"].tolist() == [1, 1, 1]
    assert found["n_faces"].tolist() == [30, 20, 10]
    assert found["visible_s"].tolist() == pytest.approx([3, 2, 1])
    assert found["first_s"].tolist() == pytest.approx([0, 1, 5])
    assert found["similarity"].tolist() == pytest.approx([1, 1, np.nan], nan_ok=True)
    assert found["nearest_similarity"].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert found["known_similarity"].isna().all()
    tracks = cuts.identify().tracks
    assert tracks["track_id"].tolist() == [1, 2, 3, 4, 5, 6]
    assert tracks["person"].tolist() == [1, 2, 1, 2, 1, 3]


def test_people_across_videos_and_their_summary(cuts: Timeline) -> None:
    other = video_of_shots("party.mp4", {1: "dora", 2: "bert"}, {3: "anna"}, turn=0.3)
    both = join([cuts, other])
    found = both.identify().table
    assert found["films"].tolist() == [2, 2, 1, 1]
    assert found["sources"].tolist()[:3] == ["talk.mp4, party.mp4"] * 2 + ["talk.mp4"]
    cosine = np.cos(0.3)
    assert found["similarity"].iloc[0] == pytest.approx((3 + 3 * cosine) / 6)
    merged = both.with_identities()
    assert merged.track_ids == (1, 2, 3, 4)
    summary = merged.summary()
    assert summary["source"].tolist() == ["talk.mp4"] * 4 + ["party.mp4"] * 4
    assert summary["track_id"].dropna().tolist() == [1, 2, 3, 4, 2, 1]
    total = merged.summary(across=True)
    assert total["track_id"].dropna().tolist() == [1, 2, 3, 4]
    assert total["films"].tolist() == [2, 2, 1, 1, 2]
    assert total["visible_s"].tolist() == pytest.approx([4, 3, 1, 1, 7])
    assert total["people"].tolist() == [1, 1, 1, 1, 4]
    assert total["share_happiness"].iloc[0] == pytest.approx(1.0)
    assert total["share_happiness"].iloc[1] == pytest.approx(0.0)
    assert total["peak_source"].iloc[3] == "party.mp4"
    assert len(merged.track(1).images) == len(both.images)
    assert merged.track(1).images["n_faces"].sum() == 40
    assert merged.track(1, source="party.mp4").sources == ("party.mp4",)
    with pytest.raises(UsageError, match=r"within one video: use with_identities\(\)"):
        both.summary(across=True)


def test_merged_tracks_are_one_person_and_are_read_again(cuts: Timeline, tmp_path: Path) -> None:
    merged = cuts.smooth(0.5).with_identities(cuts.identify(names={1: "anna", 3: "cleo"}))
    assert merged.names == {1: "anna", 3: "cleo"}
    assert merged.settings.smooth_s == 0.5
    anna = merged.segments()
    anna = anna[anna["track_id"] == 1]
    assert anna["start_s"].tolist() == pytest.approx([0, 2])
    assert anna["end_s"].tolist() == pytest.approx([1, 4]), "two tracks are one stretch"
    assert {(peak.track_id, peak.label) for peak in merged.peaks} == {
        (1, "happiness"), (2, "sadness"), (3, "sadness")
    }  # fmt: skip
    assert len(cuts.peaks) == 6
    again = Timeline.load(merged.save(tmp_path / "t.parquet"))
    assert again.names == merged.names
    assert len(again.track("anna").faces) == 30
    assert again.name_of(2) == "Person 2"
    assert again.summary(across=True)["visible_s"].tolist()[:3] == pytest.approx([3, 2, 1])
    assert "Person 2" in again.plot().svg
    assert "anna" in again.plot().svg
    assert "<v anna>happiness" in again.export(tmp_path / "t.vtt").read_text()
    with pytest.raises(UsageError, match="no person dora; the track ids are: 1, 2, 3, anna, cleo"):
        again.track("dora")
    with pytest.raises(UsageError, match="people of 60 faces, not 20"):
        video_of_shots("b.mp4", {1: "bert"}, {2: "cleo"}).with_identities(cuts.identify())


def test_the_report_calls_people_by_name(cuts: Timeline, tmp_path: Path) -> None:
    from mien.reports import report_page

    page = report_page(cuts.with_identities(cuts.identify(names={1: "Anna <b>"})))
    assert "Anna &lt;b&gt;" in page
    assert "Person 2" in page
    assert "Person 1" not in page


def test_two_faces_in_one_frame_are_two_people() -> None:
    twins = video_of_shots("twins.mp4", {1: "anna", 2: "anna"}, {3: "anna"})
    who = twins.identify(threshold=-1)
    first, second, third = who.tracks["person"]
    assert first != second
    assert third in (first, second)


def test_poor_views_do_not_count_where_there_are_better_ones() -> None:
    frames = [shot_frame(0, {1: "anna"}, "a.mp4")]
    frames += [shot_frame(i, {1: "bert"}, "a.mp4", fit=False) for i in range(1, 10)]
    frames += [shot_frame(i, {2: "bert"}, "a.mp4", fit=False) for i in range(10, 20)]
    frames += [shot_frame(20, {3: "anna"}, "a.mp4")]
    who = Timeline.from_results(frames).identify()
    assert who.tracks["person"].tolist() == [1, 2, 1]
    assert who.tracks["n_used"].tolist() == [1, 10, 1]
    assert who.tracks["frame"].tolist()[::2] == [0, 20]


def test_the_threshold(cuts: Timeline) -> None:
    turned = join([cuts, video_of_shots("b.mp4", {1: "anna"}, turn=1.0)])  # cos 1.0 = 0.54
    assert len(turned.identify(threshold=0.5).table) == 3
    assert len(turned.identify(threshold=0.6).table) == 4
    assert len(turned.identify(threshold=-1).table) == 2, "two are seen at once"
    with pytest.raises(UsageError, match="-1 to 1"):
        cuts.identify(threshold=50)


def test_names_by_hand(cuts: Timeline) -> None:
    found = cuts.identify(names={3: "cleo"}).table
    assert found["name"].tolist() == ["person 1", "person 2", "cleo"]
    who = cuts.identify(names={1: "anna", 3: "anna"})
    assert who.table["name"].tolist() == ["anna", "person 2"]
    assert who.table["tracks"].tolist() == [4, 2]
    assert who.known == {1: "anna"}
    with pytest.raises(
        UsageError, match="persons 1 and 2 are visible at once, so not both can be 'x'"
    ):
        cuts.identify(names={1: "x", 2: "x"})
    with pytest.raises(UsageError, match="no person 4; there are 3"):
        cuts.identify(names={4: "x"})


def test_enrolled_faces_name_people_and_unknown_stays_unknown(cuts: Timeline) -> None:
    known = {
        "Bert": np.stack([face_of("bert", 0.4), face_of("bert", -0.4)]),
        "Emil": face_of("emil"),
        "far": face_of("cleo", 1.2),  # cos 1.2 = 0.36: not alike enough
    }
    who = cuts.identify(known=known)
    assert who.table["name"].tolist() == ["person 1", "Bert", "person 3"]
    assert who.table["known_similarity"].tolist() == pytest.approx([np.nan, 1, np.nan], nan_ok=True)
    assert who.absent == ("Emil", "far")
    assert who.known == {2: "Bert"}
    assert cuts.identify(threshold=0.3, known=known).table["name"].tolist()[2] == "far"
    renamed = cuts.identify(names={2: "Albert"}, known=known)
    assert renamed.table["name"].tolist()[1] == "Albert"
    assert cuts.with_identities(who).names == {2: "Bert"}
    with pytest.raises(UsageError, match="come from different models"):
        cuts.identify(known={"Bert": np.ones(D + 1, np.float32)})
    with pytest.raises(UsageError, match="have no direction"):
        cuts.identify(known={"Bert": np.zeros(D, np.float32)})


def test_one_enrolled_face_names_one_of_two_in_one_frame() -> None:
    twins = video_of_shots("twins.mp4", {1: "anna", 2: "anna"})
    assert sorted(twins.identify(known={"Anna": face_of("anna")}).table["name"])[0] == "Anna"
    assert len(twins.identify(known={"Anna": face_of("anna")}).known) == 1


def test_photos_are_tracks_of_their_own() -> None:
    shots: list[Names] = [{1: "anna", 2: "bert"}, {1: "bert"}, {1: "cleo"}]
    photos = [shot_frame(0, seen, f"{i}.jpg", photo=True) for i, seen in enumerate(shots)]
    album = Timeline.from_results(photos)
    who = album.identify()
    assert who.table["tracks"].tolist() == [1, 2, 1]
    assert who.tracks["track_id"].isna().all()
    assert (who.table["visible_s"] == 0).all()
    with_film = join([album, video_of_shots("a.mp4", {1: "bert"})])
    assert with_film.identify().table["sources"].tolist()[1] == "0.jpg, 1.jpg, a.mp4"
    assert with_film.with_identities().track_ids == (1, 2, 3)


def test_a_video_without_a_face() -> None:
    empty = video_of_shots("empty.mp4", {}, {})
    found = empty.identify().table
    assert len(found) == 0
    assert (
        found.columns.tolist()
        == video_of_shots("a.mp4", {1: "anna"}).identify().table.columns.tolist()
    )
    assert empty.with_identities().summary(across=True)["people"].tolist() == [0]
    assert empty.identify(known={"Anna": face_of("anna")}).absent == ("Anna",)
    assert "No face was found" in people_page(empty, empty.identify())
    both = join([empty, video_of_shots("a.mp4", {1: "anna"})])
    assert both.identify().table["n_faces"].tolist() == [10]


def test_one_person_only() -> None:
    alone = video_of_shots("a.mp4", {1: "anna"}, {2: "anna"})
    row = alone.identify().table.iloc[0]
    assert (row["tracks"], row["similarity"]) == (2, pytest.approx(1))
    assert pd.isna(row["nearest"])
    assert np.isnan(row["nearest_similarity"])
    assert "nearest" not in people_page(alone, alone.identify())


def test_without_identity(cuts: Timeline, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="were not kept: analyze again with --embeddings identity"):
        replace(cuts, embeddings=None).identify()
    assert cuts.embeddings is not None
    other = replace(cuts.embeddings, vectors={"features": cuts.embeddings.vectors[IDENTITY]})
    with pytest.raises(UsageError, match="'identity' were not kept, but features"):
        replace(cuts, embeddings=other).identify()
    zero = replace(cuts.embeddings, vectors={IDENTITY: 0 * cuts.embeddings.vectors[IDENTITY]})
    with pytest.raises(UsageError, match="no direction"):
        replace(cuts, embeddings=zero).identify()


def test_two_models_do_not_mix(cuts: Timeline) -> None:
    second = video_of_shots("b.mp4", {1: "anna"})
    assert second.embeddings is not None
    stranger = replace(second, embeddings=replace(second.embeddings, identity_model="def"))
    with pytest.raises(UsageError, match="of different models"):
        join([cuts, stranger])
    with pytest.raises(UsageError, match="different labels"):
        join([cuts, replace(second, labels=EMOTIONS[:-1])])
    with pytest.raises(UsageError, match="no timelines"):
        join([])
    lacking = join([cuts, replace(second, embeddings=None)])
    assert lacking.embeddings is None


def test_two_videos_of_one_name_and_one_video_twice(cuts: Timeline) -> None:
    other = video_of_shots("talk.mp4", {1: "dora"}, {2: "anna"})
    both = join([cuts, other, cuts])
    assert both.sources == ("talk.mp4", "talk.mp4 (2)")
    assert len(both.faces) == 80
    assert both.identify().table["films"].tolist() == [2, 1, 1, 1]
    assert {peak.source for peak in both.peaks} == set(both.sources)
    smooth = join([cuts.smooth(0.5), other.smooth(0.5)])
    assert smooth.settings.smooth_s == 0.5
    assert join([cuts.smooth(0.5), other]).settings.smooth_s == 0
    assert short_names(["a/x.mp4", "b/x.mp4", "y.mp4"]) == {
        "a/x.mp4": "a/x.mp4", "b/x.mp4": "b/x.mp4", "y.mp4": "y.mp4"
    }  # fmt: skip
    assert short_names(["c:\\a\\x.mp4", "z/b/y.mp4"]) == {
        "c:\\a\\x.mp4": "x.mp4", "z/b/y.mp4": "y.mp4"
    }  # fmt: skip


def test_the_page_shows_a_face_a_track(cuts: Timeline, tmp_path: Path) -> None:
    who = cuts.identify(names={1: "<Anna>"}, known={"Zoe": face_of("emil")})
    path = write_people_page(cuts, who, tmp_path / "p.html")
    page = path.read_text()
    assert page.count('<img src="data:image/jpeg') == 6
    assert "&lt;Anna&gt;" in page
    assert "Person 2" in page
    assert "Not found: Zoe" in page
    assert "http" not in page.replace("http-equiv", "")
    with pytest.raises(UsageError, match=r"\.html"):
        write_people_page(cuts, who, tmp_path / "p.txt")


def test_many_tracks(rng: np.random.Generator) -> None:
    n = 2000
    keys = pd.DataFrame({"source": "a.mp4", "frame": np.arange(n), "face": 0})
    keys = keys.astype({"source": "string"})
    directions = rng.standard_normal((100, 64))
    vectors = directions[np.arange(n) % 100] + 0.3 * rng.standard_normal((n, 64))
    ids = pd.array(np.arange(n), "Int64")
    faces = keys.assign(time_s=np.arange(n) / 10, track_id=ids, fit=True)
    embeddings = Embeddings(keys, {IDENTITY: vectors.astype(np.float32)})
    found = find_people(faces, np.full(n, 0.1), embeddings, threshold=0.5)
    assert len(found) == 100
    assert (found.tracks["person"] == 1 + np.arange(n) % 100).all()


class ByColour:
    """Knows a person by the mean colour of the square."""

    labels = EMOTIONS
    input_size = 16

    def classify(self, crops: Crops) -> Scores:
        colours = crops.mean(axis=(1, 2)).astype(np.float32) - 127.5
        vectors = colours / np.linalg.norm(colours, axis=1, keepdims=True)
        values = np.full((len(crops), 8), 1 / 8, np.float32)
        return Scores(values, EMOTIONS, embeddings={IDENTITY: vectors})


def painted(*colours: tuple[int, int, int]) -> Image:
    """Squares of 40 px side by side, with a little texture."""
    image = np.zeros((40, 40 * max(1, len(colours)), 3), np.uint8)
    for place, colour in enumerate(colours):
        image[:, 40 * place : 40 * place + 40] = colour
    return image


def squares(image: Image) -> list[list[int]]:
    """Boxes around the squares of `painted`; black is nothing."""
    places = range(image.shape[1] // 40)
    return [[40 * i, 0, 40, 40] for i in places if image[20, 40 * i + 20].max() > 60]


def test_faces_are_enrolled_from_images(tmp_path: Path) -> None:
    red, blue = (250, 20, 20), (20, 20, 250)
    for name, colours in {"r1": [red], "r2": [red], "two": [red, blue], "none": []}.items():
        write_image(tmp_path / f"{name}.png", painted(*colours))
    analyzer = EmotionAnalyzer(squares, ByColour())
    places = known_images([f"Red={tmp_path / 'r1.png'}", f"Red={tmp_path / 'r2.png'}"])
    found = known_faces(places, analyzer.analyze)
    assert found["Red"].shape == (2, 3)
    assert found["Red"][0] @ face_like(red) == pytest.approx(1, abs=1e-2)
    with pytest.raises(UsageError, match="shows 2 faces: give an image of Red alone"):
        known_faces({"Red": [tmp_path / "two.png"]}, analyzer.analyze)
    with pytest.raises(InputError, match="shows no face: give another image of Red"):
        known_faces({"Red": [tmp_path / "none.png"]}, analyzer.analyze)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png"):
        known_faces({"Red": [tmp_path / "text.png"]}, analyzer.analyze)
    with pytest.raises(UsageError, match="no image of 'Red'"):
        known_faces({"Red": []}, analyzer.analyze)


def face_like(colour: tuple[int, int, int]) -> FloatArray:
    vector = np.array(colour, np.float32) - 127.5
    return vector / np.float32(np.linalg.norm(vector))


def test_the_ways_to_name_images(tmp_path: Path) -> None:
    for name in ("anna/1.jpg", "anna/2.png", "bert/1.jpg", "bert/notes.txt", ".git/1.jpg"):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).touch()
    faces = tmp_path / "faces"
    found = known_images([str(faces), f"anna={faces / 'bert'}"])
    assert {name: [p.name for p in paths] for name, paths in found.items()} == {
        "anna": ["1.jpg", "2.png", "1.jpg"],
        "bert": ["1.jpg"],
    }
    with pytest.raises(UsageError, match="say whose face"):
        known_images([str(faces / "anna" / "1.jpg")])
    with pytest.raises(UsageError, match="needs a name"):
        known_images([f"={faces}"])
    with pytest.raises(InputNotFoundError, match="no such image or folder"):
        known_images([f"anna={tmp_path / 'nowhere.jpg'}"])
    with pytest.raises(InputNotFoundError, match="has no folder NAME"):
        known_images([str(faces / "anna")])
    (faces / "empty").mkdir()
    with pytest.raises(InputNotFoundError, match="holds no image"):
        known_images([str(faces)])


def test_the_page_counts_videos_and_photos(cuts: Timeline) -> None:
    photos = Timeline.from_results(
        shot_frame(0, {1: who}, f"{i}.jpg", photo=True)
        for i, who in enumerate(("anna", "anna", "dora"))
    )
    both = join([cuts, photos])
    page = people_page(both, both.identify()).replace("\u00a0", " ")
    assert "<h1>1 video and 3 photos</h1>" in page
    assert "3.0 s, 32 faces, 3 tracks, 1 video, 2 photos" in page
    assert '<p class="quiet">1 photo</p>' in page
    alone = people_page(photos, photos.identify()).replace("\u00a0", " ")
    assert "<h1>3 photos</h1>" in alone
    assert "video" not in alone.split("</header>")[1].split("<footer>")[0]
