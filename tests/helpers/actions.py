"""Timelines with facial actions, made without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

import mien
from helpers.results import frame_result, mostly
from mien.expressions.actions import ACTION_COLUMNS

Signals = Mapping[str, Sequence[float]]


def acted(
    people: Mapping[int, Signals],
    *,
    fps: float = 25.0,
    yaw: float = 0.0,
    unfit: Mapping[int, str] | None = None,
) -> mien.Timeline:
    """People with these actions frame by frame, all others at 0, and open eyes."""
    count = len(next(iter(next(iter(people.values())).values())))
    results = []
    for index in range(count):
        scores = dict.fromkeys(people, mostly("neutral"))
        result = frame_result(index / fps, scores, index=index, unfit=unfit)
        usual = {"eye_openness_left": 0.3, "eye_openness_right": 0.3, "mesh_presence": 1.0}
        measures = {
            name: np.array(
                [
                    own[name][index] if name in own else usual.get(name, 0)
                    for own in people.values()
                ],
                np.float32,
            )
            for name in ACTION_COLUMNS
        }
        turned = np.full(len(people), yaw, np.float32)
        level = np.zeros(len(people), np.float32)
        results.append(
            replace(
                result,
                scores=replace(result.scores, measures=measures),
                quality=replace(result.quality, yaw_deg=turned, roll_deg=level),
            )
        )
    return mien.Timeline.from_results(results)


def smile(*, left: float = 0.8, right: float = 0.8, rest: float = 0.0) -> Signals:
    """Rest 2 s, rise 1 s, apex 1 s, return 1 s, rest 3 s, at 25 frames per second."""
    shape = np.concatenate(
        [np.zeros(50), np.linspace(0, 1, 25), np.ones(25), np.linspace(1, 0, 25), np.zeros(75)]
    )

    def side(top: float) -> list[float]:
        return [float(value) for value in rest + (top - rest) * shape]

    sides = {"mouthSmileLeft": side(left), "mouthSmileRight": side(right)}
    mean = [float(value) for value in np.mean(list(sides.values()), axis=0)]
    return {"AU12": mean, **sides}
