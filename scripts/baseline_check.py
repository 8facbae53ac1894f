"""Measure calibration to each person's own neutral. The source of figures in docs/baseline.md.

    python scripts/baseline_check.py --media MEDIA [--data FERPLUS]

MEDIA has photos/ and videos/ with people of the Face Research Lab London Set and the video of
Wolfgang Langer. Sequences from neutral to smile are made here: the neutral and the smiling picture
of a person are both warped to the points of the mesh between them and cross-faded, in 20 steps.
With FERPLUS, the typical neutral face of the model is computed, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import mien
from mien.datasets import load_ferplus
from mien.evaluation import predict
from mien.expressions.base_rates import NEUTRAL_FACES, reweighted
from mien.labels import EMOTIONS
from mien.timeline.baseline import PHOTO_S, Rest
from mien.types import Floats, Image

MODEL = "mien-mobilenet"
STEPS = 20
#: Photos of one person, all neutral.
NEUTRALS = (("lisa1", "lisa2", "lisa3", "lisa4"), ("15cm", "60cm"))
PAIRS = ("021", "025", "136")
LONDON = ("025", "136", "021", "030", "096", "129", "064", "022")
#: Points of the mesh that a resting expression moves: name, (point, down, right) as shares of the
#: distance between the eyes.
SAD = ((61, 0.12, 0.0), (291, 0.12, 0.0))
STERN = ((105, 0.14, 0.03), (334, 0.14, -0.03), (55, 0.16, 0.05), (285, 0.16, -0.05))
REACH = 0.22  # standard deviation of such a shift


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all figures as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="FER+, with validation.parquet")
    options = parser.parse_args(arguments)
    if options.data is not None:
        typical_neutral(options.data)
    analyzer = mien.EmotionAnalyzer(also=("actions", "landmarks"))
    photo_pairs(analyzer, options.media / "photos")
    videos(analyzer, options.media / "videos")
    sequences(analyzer, options.media / "videos" / "london_timeline.mp4")


def typical_neutral(data: Path) -> None:
    """The normalized geometric mean over faces that most viewers called neutral."""
    faces = load_ferplus(data, "validation")
    scores = predict(mien.load_classifier(MODEL), faces.images)
    rows = faces.majority == EMOTIONS.index("neutral")
    mean = np.exp(np.log(scores[rows] + 1e-6).mean(axis=0))
    mean /= mean.sum()
    shares = ", ".join(f"{name} {value:.4f}" for name, value in zip(EMOTIONS, mean, strict=True))
    print(f"typical neutral face, {rows.sum()} faces: {shares}\n")


def shares_of(analyzer: mien.EmotionAnalyzer, image: Image | Path) -> Floats:
    """``(8,)``: the probabilities of the only face."""
    result = analyzer(image)
    if len(result) != 1:
        raise SystemExit(f"{len(result)} faces in {result.source}, one was expected")
    return np.asarray(result.scores.values[0], np.float64)


def weights_of(rest: Floats) -> Floats:
    """The weights that a photo of this rest gives."""
    return Rest(dict(zip(EMOTIONS, rest, strict=True)), PHOTO_S, "").weights(
        EMOTIONS, NEUTRAL_FACES[MODEL]
    )


def called(shares: Floats) -> str:
    """The answer: a label, or uncertain."""
    top = int(shares.argmax())
    return EMOTIONS[top] if shares[top] >= 0.5 else "uncertain"


def photo_pairs(analyzer: mien.EmotionAnalyzer, folder: Path) -> None:
    """Smiles with the person's neutral photo as baseline; neutral photos with another one's."""
    print("| reference | photo | neutral, happiness, sadness, anger | calibrated | called |")
    print("|---|---|--:|--:|---|")
    pairs = [(f"{name}_03", f"{name}_08") for name in PAIRS]
    pairs += [(a, b) for names in NEUTRALS for a in names for b in names if a != b]
    pairs += [("115m", "115m")]
    known = {n: shares_of(analyzer, folder / f"{n}.jpg") for pair in pairs for n in pair}
    for reference, name in pairs:
        raw = known[name]
        new = reweighted(raw[None], weights_of(known[reference]))[0]
        cells = (", ".join(f"{v[i]:.2f}" for i in (0, 1, 3, 4)) for v in (raw, new))
        print(f"| {reference} | {name} | {' | '.join(cells)} | {called(raw)} → {called(new)} |")
    print()


def videos(analyzer: mien.EmotionAnalyzer, folder: Path) -> None:
    """The London video, half of the neutral time as reference; the crying and laughing woman."""
    timeline = analyzer.video(folder / "london_timeline.mp4")
    halves = {i + 1: (3.0 * i, 3.0 * i + 0.75) for i in range(len(LONDON))}
    for name, reference in (("first half of the neutral time", halves), ("auto", "auto")):
        counts = []
        for found in (timeline, timeline.baseline(reference)):
            faces, place = found.faces, found.faces["time_s"] % 3
            rest, smile = (faces[place.between(a, b)] for a, b in ((0.8, 1.4), (1.6, 2.9)))
            counts.append(
                f"{(smile['emotion'] == 'happiness').mean():.3f} of smiles, "
                f"{(rest['emotion'] == 'happiness').mean():.3f} of neutral frames, smallest "
                f"happiness of a smile {smile['happiness'].min():.2f}, largest at rest "
                f"{rest['happiness'].max():.2f}"
            )
        print(f"- London video, {name}: raw {counts[0]}; calibrated {counts[1]}")
    raw, new = timeline.faces, timeline.baseline(halves).faces
    place = raw["time_s"] % 3
    for name, faces in (("raw", raw), ("calibrated", new)):
        medians = [
            faces[place.between(a, b)].groupby("track_id")["AU12"].median().round(2).tolist()
            for a, b in ((0.8, 1.4), (1.6, 2.9))
        ]
        print(f"- London video, AU12 of each person, {name}: rest {medians[0]}, smile {medians[1]}")
    woman = analyzer.video(folder / "WolfgangLanger_Pexels.mp4")
    stretches: tuple[Any, ...] = (None, "auto", (0, 5), (6, 9))
    for stretch in stretches:
        try:
            found = woman if stretch is None else woman.baseline(stretch)
        except mien.UsageError as error:
            print(f"- Pexels video, {stretch}: {error}")
            continue
        faces = found.faces
        crying, laughing = faces[faces["time_s"] < 6], faces[faces["time_s"] >= 10]
        runs = found.smooth(1).segments()
        first = runs[(runs["emotion"] == "happiness")]["start_s"].min()
        print(
            f"- Pexels video, {stretch or 'raw'}: crying called happiness "
            f"{(crying['emotion'] == 'happiness').mean():.2f}, sadness "
            f"{(crying['emotion'] == 'sadness').mean():.2f}, mean sadness "
            f"{crying['sadness'].mean():.2f}; laughing called happiness "
            f"{(laughing['emotion'] == 'happiness').mean():.2f}; first segment at {first:.2f} s"
        )
    print()


def sequences(analyzer: mien.EmotionAnalyzer, video: Path) -> None:
    """From neutral to smile in steps; raw and calibrated, also with a resting sad or stern face."""
    frames = {round(f.time_s, 3): f for f in mien.VideoSource(video) if f.time_s is not None}
    times = np.array(sorted(frames))
    for name, shifts in (("as they are", ()), ("mouth down", SAD), ("brows down", STERN)):
        print(f"\nResting face {name}\n")
        print(
            "| person | at rest | smile found at step, raw | calibrated | of varied rests: smiles |"
        )
        print("|---|---|--:|--:|--:|")
        for place, person in enumerate(LONDON):
            near = [times[np.abs(times - (3 * place + at)).argmin()] for at in (0.75, 2.25)]
            neutral, smile = (analyzer(frames[time].read()) for time in near)
            print(sequence(analyzer, person, neutral, smile, shifts))


def sequence(
    analyzer: mien.EmotionAnalyzer,
    person: str,
    neutral: mien.Result,
    smile: mien.Result,
    shifts: Sequence[tuple[int, float, float]],
) -> str:
    """One row of the table."""
    images = [neutral.image, smile.image]
    meshes = [one.mesh for one in (neutral, smile) if one.mesh is not None]
    points = [np.asarray(mesh.points[0, :, :2], np.float64) for mesh in meshes]
    shares = []
    for step in range(STEPS + 1):
        part = step / STEPS
        between = (1 - part) * points[0] + part * points[1]
        target = between + moved(between, shifts)
        a, b = (warped(i, p, target) for i, p in zip(images, points, strict=True))
        image = np.round((1 - part) * a + part * b).astype(np.uint8)
        shares.append(shares_of(analyzer, image))
        if not step:
            rest = image
    raw = np.array(shares)
    weights = weights_of(raw[0])
    new = reweighted(raw, weights)
    others = np.array([shares_of(analyzer, image) for image in varied(rest)])
    false = [
        sum(called(s) == "happiness" for s in v) for v in (others, reweighted(others, weights))
    ]
    first = [
        next((i for i, s in enumerate(v) if called(s) == "happiness"), None) for v in (raw, new)
    ]
    top = raw[0].argsort()[::-1][:2]
    before = ", ".join(f"{EMOTIONS[i]} {raw[0, i]:.2f}" for i in top)
    cells = " | ".join("never" if one is None else str(one) for one in first)
    smiles = f"{false[0]} → {false[1]} of {len(others)}"
    return f"| {person} | {before}: {called(raw[0])} → {called(new[0])} | {cells} | {smiles} |"


def moved(points: Floats, shifts: Sequence[tuple[int, float, float]]) -> Floats:
    """``(n, 2)``: how far each point is shifted, the fewer the farther it is."""
    eyes = float(np.linalg.norm(points[33] - points[263]))
    out = np.zeros_like(points)
    for point, down, right in shifts:
        far = np.linalg.norm(points - points[point], axis=1) / eyes
        out += np.exp(-((far / REACH) ** 2) / 2)[:, None] * np.array([right, down]) * eyes
    return out


def warped(image: Image, points: Floats, target: Floats) -> Floats:
    """An image whose points lie at `target`; its border stays."""
    from scipy.interpolate import LinearNDInterpolator  # type: ignore[import-untyped]

    height, width = image.shape[:2]
    xs, ys = np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5)
    frame = [(x, y) for x in xs for y in ys if x in (0, width - 1) or y in (0, height - 1)]
    fixed = np.array(frame, np.float64)
    at = np.vstack([target, fixed])
    back = np.vstack([points - target, np.zeros_like(fixed)])
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    source = (grid + LinearNDInterpolator(at, back, 0.0)(grid)).astype(np.float32)
    found = cv2.remap(image, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
    return np.asarray(found, np.float64)


def varied(image: Image) -> list[Image]:
    """The same picture in other light, blurred, smaller, turned, compressed."""
    out = [np.clip(image * gain, 0, 255).astype(np.uint8) for gain in (0.6, 0.8, 1.2, 1.4)]
    out += [np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8) for sigma in (1.0, 2.0)]
    for scale in (0.3, 0.5):
        out.append(
            np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=3), np.uint8)
        )
    for angle in (-8, 8):
        center = (image.shape[1] / 2, image.shape[0] / 2)
        turn = cv2.getRotationMatrix2D(center, angle, 1)
        out.append(
            np.asarray(cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=1), np.uint8)
        )
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 20])
    out.append(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8))
    out.append(np.ascontiguousarray(image[:, ::-1]))
    return out


if __name__ == "__main__":
    main()
