"""Which events of facial actions each pair of thresholds finds: the figures of docs/actions.md.

    python scripts/event_limits.py ../shared/media/videos

The London film shows eight people, each neutral for 1.5 s and then smiling, from one frame to the
next. The heads of the clips are calm, or grin from beginning to end, and turn and lean: an event
of ``AU12`` in them is wrong.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np

import mien
from mien.timeline import actions

LONDON, HALF_S = "london_timeline.mp4", 1.5
CLIPS = ("male", "female", "female-and-male")


def main(folder: Path) -> None:
    """Print a line for each pair."""
    analyzer = mien.EmotionAnalyzer(also="actions")
    london = analyzer.video(folder / LONDON)
    clips = [analyzer.video(folder / f"head-pose-face-detection-{name}.gif") for name in CLIPS]
    for low, high in product((0.05, 0.10, 0.15), (0.15, 0.20, 0.25, 0.30, 0.40)):
        if low >= high:
            continue
        actions.LOW, actions.HIGH = low, high
        smiles = london.actions("AU12")
        late = smiles["onset_s"] - ((smiles["track_id"] - 1) * 2 * HALF_S + HALF_S)
        others = [clip.actions() for clip in clips]
        wrong = sum(int((events["action"] == "AU12").sum()) for events in others)
        print(
            f"{low:.2f} {high:.2f}: London {len(smiles)} smiles of {smiles['track_id'].nunique()} "
            f"people, onset at most {np.abs(late).max():.2f} s off; clips: AU12 {wrong}, all units "
            f"{sum(map(len, others))}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
