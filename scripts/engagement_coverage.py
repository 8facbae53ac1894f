"""How often the levels of strangers lie within the uncertainties of an engagement model.

    python scripts/engagement_coverage.py      # about ten minutes of a processor

Generated people have 64 features that say who they are; one sways the wider and one jumps the more
seldom the more engaged. Labels are rounded to four levels after noise, or mean nothing ("random").
Prints, for three seeds of each kind: squared errors on the people held out, the residual, and the
shares within one and two uncertainties of 120 strangers and of groups of six of them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from mien.engagement import EngagementModel
from mien.engagement.estimation import of_group
from mien.training.engagement.data import Clips, LabeledClip, windows_of
from mien.training.engagement.train import Plan, train_engagement

FEATURES, STRANGERS, TOGETHER = 64, 120, 6
KINDS = (("plain", 0.05, 30), ("noisy", 0.2, 30), ("noisy", 0.2, 80), ("random", 0.0, 40))


def acted(who: int, kind: str, noise: float, rng: np.random.Generator) -> LabeledClip:
    """Twelve seconds of one person."""
    level, times = rng.random(), np.arange(300) / 25
    signal = np.random.default_rng(1000 + who).normal(0, 1, FEATURES)
    signal = signal + rng.normal(0, 0.3, (300, FEATURES))
    signal[:, 3] += (0.2 + 1.2 * level) * np.sin(2 * np.pi * (0.7 * times + rng.random()))
    signal[rng.random(300) < 0.3 * (1 - level), 7] += 2.0
    seen = rng.random() if kind == "random" else level + rng.normal(0, noise)
    level = float(np.round(3 * np.clip(seen, 0, 1)) / 3)
    ends, span = times + 0.04, (0.0, 12.0)
    return LabeledClip(str(who), level, times, ends, signal.astype(np.float16), str(who), span=span)


def main() -> None:
    """Train, judge strangers, count."""
    for kind, noise, people in KINDS:
        for seed in range(3):
            rng = np.random.default_rng(100 * seed + people)
            made = [acted(who, kind, noise, rng) for who in range(people) for _ in range(2)]
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "net.onnx"
                plan = Plan(hidden=128, least=250, seed=seed)
                done = train_engagement(Clips(tuple(made), classes=False), path, plan)
                model = EngagementModel(path)
                fresh = [acted(5000 + k, kind, noise, rng) for k in range(STRANGERS)]
                window, steps = model.card.window_s, model.card.steps
                said = np.concatenate(
                    [model.predict(windows_of(c, c.grid(window, steps)[:1])) for c in fresh]
                )
            levels = np.array([clip.level for clip in fresh])
            error = np.hypot(said.std(axis=1, ddof=1), model.card.residual or 0.0)
            far = np.abs(said.mean(axis=1) - levels) / error
            groups = []
            for first in range(0, STRANGERS, TOGETHER):
                rows = slice(first, first + TOGETHER)
                estimate = of_group([(each, 0.0) for each in said[rows]], model)
                away = abs(estimate["engagement"] - levels[rows].mean())
                groups.append(away / estimate["uncertainty"])
            print(
                f"{kind:7} {people:3} people, seed {seed}: MSE {done['mse'].value:.3f} "
                f"(mean {done['mse_of_mean'].value:.3f}), residual {model.card.residual:.2f}, "
                f"within 1 and 2: {np.mean(far < 1):.2f} {np.mean(far < 2):.2f}, "
                f"groups {np.mean(np.array(groups) < 1):.2f} {np.mean(np.array(groups) < 2):.2f}"
            )


if __name__ == "__main__":
    main()
