"""How right is a classifier? Figures with intervals and protocols, on any labelled faces."""

from mien.evaluation.comparing import Comparison, Difference, compare
from mien.evaluation.ferplus import LISTS, Figure, evaluate_ferplus
from mien.evaluation.judging import Progress, judge, judge_faces, to_crops
from mien.evaluation.measuring import Evaluation, Groups, evaluate
from mien.evaluation.metrics import Measured, calibration_error, divergence

__all__ = [
    "LISTS",
    "Comparison",
    "Difference",
    "Evaluation",
    "Figure",
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
