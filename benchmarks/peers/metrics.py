"""Figures from what the peers answered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

Votes = Mapping[str, tuple[str, Mapping[str, int]]]
#: The least probability in the divergence: a peer that rounds to 0 is not infinitely wrong.
FLOOR = 1e-3


def photo_figures(photos: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Faces found, missed and false by the counts, and agreement with the labels that are sure.

    In a photo with one face, one box counts as that face and further ones are false.
    """
    wanted = found = false = labeled = right = 0
    for row in rows:
        faces, count = photos[row["file"].split("/")[-1]], int(row["faces"])
        wanted += count
        found += min(count, len(faces))
        false += max(0, len(faces) - count)
        if row["label"] and row["label_sure"] == "yes" and count == 1:
            labeled += 1
            largest = max(faces, key=lambda face: _area(face["box"]), default=None)
            right += largest is not None and top(largest["probabilities"]) == row["label"]
    has_labels = any(face["probabilities"] for faces in photos.values() for face in faces)
    figures: dict[str, Any] = {"faces": wanted, "found": found, "false": false}
    return figures | ({"labeled": labeled, "right": right} if has_labels else {})


def crop_figures(crops: Mapping[str, Any], truth: Votes) -> dict[str, Any]:
    """Agreement with the majority, calibration error and divergence from the votes."""
    answered = {name: p for name, p in crops.items() if p}
    if not answered:
        return {}
    right = sum(top(p) == truth[name][0] for name, p in answered.items())
    known = set().union(*answered.values())
    basic = [name for name in crops if truth[name][0] in known]
    return {
        "faces": len(crops),
        "right": right,
        "known_faces": len(basic),
        "ece": calibration_error(answered, truth),
        "kl": mean(divergence(p, truth[name][1]) for name, p in answered.items()),
    }


def top(probabilities: Mapping[str, float]) -> str:
    """The most probable label."""
    return max(probabilities, key=probabilities.__getitem__, default="")


def calibration_error(crops: Mapping[str, Any], truth: Votes, bins: int = 15) -> float:
    """Mean gap between the top probability and the share of annotators who agree, in 15 bins."""
    groups: dict[int, list[tuple[float, float]]] = {}
    for name, probabilities in crops.items():
        label, counts = top(probabilities), truth[name][1]
        share = counts.get(label, 0) / sum(counts.values())
        value = probabilities[label]
        groups.setdefault(min(int(value * bins), bins - 1), []).append((value, share))
    gaps = (len(g) * abs(mean(v for v, _ in g) - mean(s for _, s in g)) for g in groups.values())
    return sum(gaps) / len(crops)


def divergence(probabilities: Mapping[str, float], counts: Mapping[str, int]) -> float:
    """KL divergence of the answer from the votes, in nats, over the labels that the peer has."""
    shared = {label: n for label, n in counts.items() if label in probabilities}
    total = sum(shared.values()) or 1
    floored = {label: max(probabilities[label], FLOOR) for label in shared}
    whole = sum(floored.values())
    return sum(
        n / total * math.log(n / total / (floored[label] / whole))
        for label, n in shared.items()
        if n
    )


def people_figures(frames: Sequence[Sequence[int | None]]) -> dict[str, Any]:
    """How many numbers were given out for the people of a video, none where faces have none."""
    numbers = {number for frame in frames for number in frame if number is not None}
    return {"frames": len(frames), "ids": len(numbers) or None}


def memory_figures(samples: Sequence[float]) -> dict[str, Any]:
    """Resident memory in the second and in the last fifth of the run, MB."""
    fifth = len(samples) // 5
    if not fifth:
        return {}
    return {"early_mb": mean(samples[fifth : 2 * fifth]), "late_mb": mean(samples[-fifth:])}


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
