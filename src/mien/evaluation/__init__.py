"""Evaluation of classifiers on labeled faces: figures with intervals and protocols."""

from mien.evaluation.comparison import Comparison, Difference, compare
from mien.evaluation.evaluation import Evaluation, Groups, evaluate
from mien.evaluation.ferplus import LISTS, evaluate_ferplus
from mien.evaluation.intervals import Estimate, Gap
from mien.evaluation.metrics import calibration_error, divergence
from mien.evaluation.predictions import Progress, predict, predict_faces, to_crops

__all__ = [
    "LISTS",
    "Comparison",
    "Difference",
    "Estimate",
    "Evaluation",
    "Gap",
    "Groups",
    "Progress",
    "calibration_error",
    "compare",
    "divergence",
    "evaluate",
    "evaluate_ferplus",
    "predict",
    "predict_faces",
    "to_crops",
]
