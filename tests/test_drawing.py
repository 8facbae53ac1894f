"""Annotated images: every part is at its place, and nothing covers a face without need."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from helpers.results import frame_result, mostly

from mien.drawing.captions import Annotator, FaceBox, Rects, place_captions
from mien.drawing.image import (
    HEAT,
    blend_heatmaps,
    crop_sheet,
    draw_faces,
    draw_margin,
    heatmap_sheet,
)
from mien.drawing.text import (
    fit,
    text_sizes,
    text_width,
    without_number,
)
from mien.errors import UsageError
from mien.labels import BLACK, COLORS, EMOTIONS, WHITE, ink

ORANGE = COLORS["happiness"]
BLUE = COLORS["sadness"]
LABEL_COLORS = [COLORS[name] for name in EMOTIONS]


def plain(width: int, height: int, value: int = 200) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def grid(columns: int, rows: int, cell: int, side: int) -> Rects:
    corner = (cell - side) // 2
    boxes = [
        (x * cell + corner, y * cell + corner, x * cell + corner + side, y * cell + corner + side)
        for y in range(rows)
        for x in range(columns)
    ]
    return np.array(boxes, np.int64)


def shared(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


def where(image: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((image == np.array(color)).all(axis=2))


@pytest.mark.parametrize(
    "box",
    [
        (200, 150, 300, 250),  # room everywhere
        (200, 0, 300, 100),  # none above
        (0, 0, 100, 100),
        (412, 284, 512, 384),
        (480, 100, 512, 140),  # a caption wider than the box, at the edge
        (100, 0, 250, 384),  # neither above nor below: beside
    ],
)
def test_the_face_itself_stays_as_it_was(box: tuple[int, int, int, int]) -> None:
    image = plain(512, 384)
    drawn = draw_faces(image, [box], ["happiness 87 %"], [ORANGE])
    x1, y1, x2, y2 = box
    edge = 5  # a box at the picture's edge has its outline inside
    inner = (slice(y1 + edge, y2 - edge), slice(x1 + edge, x2 - edge))
    assert np.array_equal(drawn[inner], image[inner])
    assert where(drawn, ORANGE).sum() > 600  # outline and caption are there
    assert (drawn.min(axis=2) < 60).any()  # and the caption has letters


def test_the_outline_runs_around_the_box() -> None:
    image = plain(400, 400)
    drawn = draw_faces(image, [(100, 120, 200, 220)], [""], [BLUE])
    marked = where(drawn, BLUE)
    rows, columns = np.nonzero(marked)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (118, 221, 98, 201)
    assert np.array_equal(drawn[120:220, 100:200], image[120:220, 100:200])
    assert marked[118:120, 98:202].all()


def test_the_selected_face_has_a_thicker_outline() -> None:
    boxes = [(50, 50, 120, 120), (200, 50, 270, 120)]
    drawn = draw_faces(plain(400, 300), boxes, ["", ""], [BLUE, ORANGE], selected=1)
    assert where(drawn, ORANGE).sum() > 1.8 * where(drawn, BLUE).sum()


def test_the_input_is_not_touched_and_may_be_read_only() -> None:
    image = plain(200, 100)
    image.setflags(write=False)
    before = image.copy()
    drawn = draw_faces(image, [(50, 40, 90, 80)], ["fear 60 %"], [BLUE])
    assert np.array_equal(image, before)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert drawn.flags.writeable
    assert not np.shares_memory(drawn, image)


def test_no_faces_and_faces_outside_leave_the_image_alone() -> None:
    image = plain(64, 64)
    assert np.array_equal(draw_faces(image, np.zeros((0, 4)), [], []), image)
    outside = draw_faces(image, [(100, 100, 120, 120)], ["anger 90 %"], [BLUE])
    assert np.array_equal(outside, image)


@pytest.mark.parametrize("size", [(32, 32), (128, 128), (4000, 60), (3, 3)])
def test_every_size_of_image_can_be_drawn_on(size: tuple[int, int]) -> None:
    width, height = size
    box = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
    drawn = draw_faces(plain(width, height), [box], ["happiness 87 %"], [ORANGE])
    assert drawn.shape == (height, width, 3)


def test_captions_of_a_grid_overlap_neither_each_other_nor_faces() -> None:
    boxes, frame = grid(6, 6, 220, 110), (1320, 1320)
    captions = [f"{EMOTIONS[i % 8]} {40 + i} %" for i in range(36)]
    tags = [tag for tag in place_captions(captions, boxes, [4] * 36, frame) if tag]
    assert [tag.text for tag in tags] == captions
    assert len({tag.size for tag in tags}) == 1
    assert tags[0].size >= 14
    assert not any(shared(a.rect, b.rect) for a, b in combinations(tags, 2))
    assert not any(shared(tag.rect, tuple(box)) for tag in tags for box in boxes.tolist())
    for tag in tags:
        assert tag.rect[0] >= 0
        assert tag.rect[1] >= 0
        assert tag.rect[2] <= frame[0]
        assert tag.rect[3] <= frame[1]
        assert text_width(tag.text, tag.size) <= tag.rect[2] - tag.rect[0]


def test_captions_without_room_lose_their_figure_before_they_collide() -> None:
    boxes = grid(12, 4, 72, 50) + np.array([0, 5, 0, 5])
    captions = ["happiness 87 %"] * len(boxes)
    tags = [tag for tag in place_captions(captions, boxes, [2] * len(boxes), (864, 288)) if tag]
    assert len(tags) == len(boxes)
    assert not any(shared(a.rect, b.rect) for a, b in combinations(tags, 2))
    assert not any(shared(tag.rect, tuple(box)) for tag in tags for box in boxes.tolist())


@pytest.mark.parametrize(
    ("box", "corner"),
    [
        ((200, 150, 300, 250), (198, "above")),
        ((200, 0, 300, 100), (198, "below")),
        ((100, 0, 250, 384), (252, "beside")),
    ],
)
def test_a_caption_goes_above_then_below_then_beside(
    box: tuple[int, int, int, int], corner: tuple[int, str]
) -> None:
    (tag,) = place_captions(["fear 60 %"], np.array([box]), [2], (512, 384))
    assert tag is not None
    assert tag.rect[0] == corner[0]
    found = "above" if tag.rect[3] == box[1] - 2 else "beside"
    assert ("below" if tag.rect[1] == box[3] + 2 else found) == corner[1]


def test_a_face_that_fills_the_image_gets_its_caption_inside() -> None:
    (tag,) = place_captions(["fear 60 %"], np.array([[0, 0, 300, 300]]), [2], (300, 300))
    assert tag is not None
    assert tag.rect[:2] == (0, 0)


def test_letters_grow_with_the_image_but_stay_legible() -> None:
    sizes = [text_sizes(w, h) for w, h in [(128, 128), (640, 480), (1920, 1080), (4000, 3000)]]
    wished = [size[0] for size in sizes]
    assert wished == sorted(wished)
    assert wished[0] >= 10
    assert 45 <= wished[-1] <= 80
    assert all(small <= wish for wish, small in sizes)


def test_text_shrinks_before_it_is_cut() -> None:
    wide = text_width("happiness 87 %", 20)
    assert fit("happiness 87 %", 20, 10, wide) == ("happiness 87 %", 20)
    text, size = fit("happiness 87 %", 20, 10, wide * 3 // 4)
    assert text == "happiness 87 %"
    assert 10 <= size < 20
    assert fit("happiness 87 %", 20, 20, text_width("happiness", 20)) == ("happiness", 20)
    cut, _ = fit("happiness", 20, 20, text_width("happi…", 20))
    assert cut == "happi…"


@pytest.mark.parametrize(
    ("caption", "label"),
    [
        ("happiness 87 %", "happiness"),
        ("fear 7.5%", "fear"),
        ("joy (0.83)", "joy"),
        ("anger", "anger"),
        ("87 %", "87 %"),
    ],
)
def test_a_caption_can_do_without_its_figure(caption: str, label: str) -> None:
    assert without_number(caption) == label


def test_ink_is_the_more_readable_of_black_and_white() -> None:
    assert ink((255, 255, 255)) == BLACK
    assert ink((0, 0, 0)) == WHITE
    assert ink(COLORS["happiness"]) == BLACK
    assert ink(COLORS["sadness"]) == WHITE


@pytest.mark.parametrize("text", ["dégoût 44 %", "Überraschung", "悲しみ 3 %"])
def test_letters_that_the_font_lacks_are_drawn_too(text: str) -> None:
    drawn = draw_faces(plain(400, 200), [(100, 80, 260, 180)], [text], [ORANGE])
    assert where(drawn, ORANGE).sum() > 600
    assert text_width(text, 20) > 20


@pytest.mark.parametrize("size", [(512, 512), (128, 128), (32, 32), (2400, 300), (4000, 3000)])
def test_the_margin_is_added_at_the_right(size: tuple[int, int]) -> None:
    image = plain(*size, 77)
    values = [0.05, 0.6, 0.0, 0.1, 0.1, 0.05, 0.05, 0.05]
    thumbnail = np.full((112, 112, 3), (1, 2, 3), np.uint8)
    shown = draw_margin(image, "face 0", EMOTIONS, values, LABEL_COLORS, thumbnail=thumbnail)
    height, width = image.shape[:2]
    assert shown.shape[0] >= height
    assert shown.shape[1] > width
    assert np.array_equal(shown[:height, :width], image)
    margin = shown[:, width:]
    areas = {name: int(where(margin, COLORS[name]).sum()) for name in EMOTIONS}
    assert max(areas, key=lambda name: areas[name]) == "happiness"
    assert areas["surprise"] == 0
    assert areas["happiness"] == pytest.approx(6 * areas["anger"], rel=0.25)
    tops = [np.nonzero(where(margin, COLORS[name]))[0].min() for name in EMOTIONS if areas[name]]
    assert tops == sorted(tops)  # in the order given
    seen = where(margin, (1, 2, 3))
    assert seen.any()
    assert np.nonzero(seen)[0].max() < tops[0]  # the thumbnail stands above the list
    border = margin[-2:, :]
    assert (border == border[0, 0]).all()  # nothing is cut off below
    assert (margin[:, -2:] == border[0, 0]).all()


def test_the_margin_writes_other_scores_as_numbers() -> None:
    shown = draw_margin(plain(300, 300), "face 0", ["a", "b", "c"], [2.5, -1.0, np.nan],
                        [ORANGE, BLUE, (1, 99, 1)])  # fmt: skip
    assert where(shown, ORANGE).sum() > 100
    assert not where(shown, BLUE).any()
    assert not where(shown, (1, 99, 1)).any()


def test_the_sheet_holds_every_crop_and_caption() -> None:
    crops = np.stack([np.full((64, 64, 3), 10 * i + 5, np.uint8) for i in range(7)])
    sheet = crop_sheet(crops, ["happiness 87 %"] * 7, [ORANGE] * 7)
    for i in range(7):
        assert where(sheet, (10 * i + 5,) * 3).sum() >= 160 * 160  # small crops are enlarged
    assert where(sheet, ORANGE).sum() > 7 * 160 * 5
    assert 2 * 160 < sheet.shape[0] < 4 * 160 < sheet.shape[1] < 5 * 160  # four, and three below


def test_a_sheet_without_faces_says_so() -> None:
    sheet = crop_sheet(np.zeros((0, 112, 112, 3), np.uint8), [], [])
    assert 0 < sheet.shape[0] <= 200
    assert len(np.unique(sheet)) > 3  # there are letters


def test_heatmaps_cover_what_is_hot_and_nothing_else() -> None:
    crops = np.full((2, 64, 64, 3), 128, np.uint8)
    maps = np.zeros((2, 8, 8), np.float32)
    maps[1, 1, 1] = 1
    blended = blend_heatmaps(crops, maps)
    assert np.array_equal(blended[0], crops[0])
    change = np.abs(blended[1].astype(int) - 128).sum(axis=2)
    assert np.unravel_index(change.argmax(), change.shape) < (24, 24)
    assert change[:24, :24].max() > 60
    assert not change[32:, 32:].any()
    assert (crops == 128).all()
    hot = blend_heatmaps(crops[:1], np.ones((1, 4, 4)))
    assert hot[0, 0, 0].tolist() == [round(0.45 * 128 + 0.55 * c) for c in HEAT]  # RGB, one hue
    assert blend_heatmaps(crops[:0], maps[:0]).shape == (0, 64, 64, 3)


def test_heatmap_cells_keep_their_edges_and_the_sheet_has_a_legend() -> None:
    crops = np.full((3, 64, 64, 3), 128, np.uint8)
    maps = np.tile(np.array([[0.0, 1.0], [0.5, 0.0]], np.float32), (3, 1, 1))
    assert len(np.unique(blend_heatmaps(crops, maps)[0].reshape(-1, 3), axis=0)) == 3
    captions = [f"{i} happiness" for i in range(3)]
    plain_sheet = crop_sheet(crops, captions, [ORANGE] * 3)
    sheet = heatmap_sheet(crops, maps, captions, [ORANGE] * 3)
    assert sheet.shape[1] == plain_sheet.shape[1]
    legend = sheet[plain_sheet.shape[0] :]
    red, green, blue = (round(0.45 * 255 + 0.55 * c) for c in HEAT)
    assert where(
        legend, (red, green, blue)
    ).any()  # the end of the scale is what a hot cell on white looks like
    assert (legend.max(axis=2) < 140).any()  # letters
    nobody = heatmap_sheet(crops[:0], maps[:0], [], [])
    assert np.array_equal(nobody, crop_sheet(crops[:0], [], []))


def test_still_and_moving_images_are_drawn_alike() -> None:
    """One painter: with the same letters and lines, an image and a frame are equal."""
    image, box = plain(640, 360), np.array([200, 120, 280, 220], np.float32)
    frame = image.copy()
    annotator = Annotator((640, 360))
    annotator.draw(frame, [FaceBox(0, box, ("fear 60 %",), BLUE)])
    still = draw_faces(image, [box], ["fear 60 %"], [BLUE])
    assert np.array_equal(where(frame, BLUE)[120:, 195:285], where(still, BLUE)[120:, 195:285])


def test_wrong_shapes_are_refused() -> None:
    crops = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match="1 boxes, 2 captions"):
        draw_faces(plain(50, 50), [(1, 1, 9, 9)], ["a", "b"], [ORANGE])
    with pytest.raises(UsageError, match="uint8 RGB"):
        draw_faces(np.zeros((50, 50), np.uint8), np.zeros((0, 4)), [], [])
    with pytest.raises(UsageError, match="maps must have shape"):
        blend_heatmaps(crops, np.zeros((1, 4, 4)))
    with pytest.raises(UsageError, match="2 crops, 1 captions"):
        crop_sheet(crops, ["a"], [ORANGE] * 2)


@pytest.mark.parametrize(("faces", "first"), [(1, "happiness"), (3, "0 happiness")])
def test_crops_carry_the_numbers_of_their_rows(
    monkeypatch: pytest.MonkeyPatch, faces: int, first: str
) -> None:
    people = {i: mostly("happiness") for i in range(faces)}
    result = frame_result(0.0, people)
    result = replace(result, crops=np.zeros((faces, 16, 16, 3), np.uint8))
    written: list[str] = []
    monkeypatch.setattr(
        "mien.drawing.image.crop_sheet", lambda crops, captions, colors: written.extend(captions)
    )
    result.square_images()
    assert written[0].startswith(first)
    assert len(written) == faces
