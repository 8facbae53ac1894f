"""How right is a classifier? Figures with intervals and protocols, on any labelled faces."""

from mien.evaluation.comparison import Comparison, Difference, compare
from mien.evaluation.evaluation import Evaluation, Groups, evaluate
from mien.evaluation.ferplus import LISTS, Figure, evaluate_ferplus
from mien.evaluation.intervals import Gap, Measured
from mien.evaluation.metrics import calibration_error, divergence
from mien.evaluation.predictions import Progress, judge, judge_faces, to_crops

__all__ = [
    "LISTS",
    "Comparison",
    "Difference",
    "Evaluation",
    "Figure",
    "Gap",
    "Groups",
    "Measured",
    "Progress",
    "calibration_error",
    "compare",
    "divergence",
    "evaluate",
    "evaluate_ferplus",
    "judge",
    "judge_faces",
    "to_crops",
]
