"""Support-vector machines on descriptors of videos, one label against the rest.

scikit-learn's `SVC` solves each (Platt 1998; Chang and Lin 2011), on kernel values that are
computed once for all videos, so that cross-validation costs no more than its solver. There is one
machine for each label, as in the papers' linear ones (one-vs-rest), also with the RBF kernel: each
label then has one margin, which is what is exported and calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.svm import SVC

from mien.types import Floats, IntArray

Kernel = Literal["linear", "rbf"]

KERNELS: tuple[Kernel, ...] = ("linear", "rbf")
TINY = 1e-12  # a descriptor of zeros stays one
#: Tolerance of the solver; with the first, margins are right to four digits.
FINE, COARSE = 1e-5, 1e-3


def normalized(descriptors: npt.ArrayLike) -> Floats:
    """Each row of ``(n, D)`` brought to length 1."""
    rows = np.asarray(descriptors, np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY))


class KernelMatrix:
    """Labeled descriptors of n videos and the kernel values between all of them.

    Args:
        descriptors: ``(n, D)``, of any length.
        labels: ``(n,)`` numbers from 0 to k - 1.
        count: k.
        kernel: ``linear``, or ``rbf``, ``exp(-gamma |a - b|^2)``.
    """

    def __init__(
        self, descriptors: npt.ArrayLike, labels: IntArray, count: int, kernel: Kernel
    ) -> None:
        self.units: Floats = normalized(descriptors)
        self.labels: IntArray
        self.count: int
        self.labels, self.count, self.kernel = np.asarray(labels), count, kernel
        self._products = self.units @ self.units.T
        self._squares = np.diag(self._products).copy()
        self._sums = self.units.sum(axis=1)

    def __len__(self) -> int:
        return len(self.units)

    def gamma(self, rows: IntArray) -> float:
        """1 over the width and the variance of the descriptors `rows`: scikit-learn's "scale"."""
        if self.kernel == "linear":
            return 0.0
        width = self.units.shape[1]
        mean = self._sums[rows].mean() / width
        variance = self._squares[rows].mean() / width - mean**2
        return float(1 / (width * variance)) if variance > TINY else 1.0

    def values(self, rows: IntArray, columns: IntArray, gamma: float) -> Floats:
        """``(len(rows), len(columns))`` kernel values."""
        products = self._products[np.ix_(rows, columns)]
        if self.kernel == "linear":
            return products
        distances = self._squares[rows][:, None] + self._squares[columns] - 2 * products
        return np.asarray(np.exp(-gamma * np.maximum(distances, 0)))

    def fit(self, rows: IntArray, c: float, tolerance: float = FINE) -> Svm:
        """Fit machines to the labels of the videos `rows`.

        Args:
            rows: numbers of videos.
            c: the cost of an error, as against a narrow margin.
            tolerance: of the solver; `COARSE` does for choosing C.
        """
        gamma = self.gamma(rows)
        kernel = self.values(rows, rows, gamma)
        duals, bias = np.zeros((len(rows), self.count)), np.zeros(self.count)
        for label in range(self.count):
            own = self.labels[rows] == label
            duals[:, label], bias[label] = _solve(kernel, own, c, tolerance)
            if self.count == 2:  # the two machines are mirror images
                duals[:, 1], bias[1] = -duals[:, 0], -bias[0]
                break
        used = np.flatnonzero(duals.any(axis=1))
        return Svm(self.kernel, gamma, c, rows[used], self.units[rows[used]], duals[used], bias)

    def margins(self, svm: Svm, rows: IntArray) -> Floats:
        """``(len(rows), k)`` margins of the videos `rows`, by a machine of these videos."""
        kernel = self.values(rows, svm.rows, svm.gamma)
        return np.asarray(kernel @ svm.duals + svm.bias)


@dataclass(frozen=True, eq=False)
class Svm:
    """Fitted machines: the margin of label j is ``sum_i duals[i, j] K(x, units[i]) + bias[j]``.

    Attributes:
        kernel, gamma, c: as fitted.
        rows: ``(s,)`` numbers of the support vectors' videos.
        units: ``(s, D)`` their descriptors, of length 1.
        duals: ``(s, k)``.
        bias: ``(k,)``.
    """

    kernel: Kernel
    gamma: float
    c: float
    rows: IntArray
    units: Floats
    duals: Floats
    bias: Floats

    @property
    def weights(self) -> Floats:
        """``(k, D)``, of a linear machine."""
        return np.asarray(self.duals.T @ self.units)


def _solve(
    kernel: Floats, own: npt.NDArray[np.bool_], c: float, tolerance: float
) -> tuple[Floats, float]:
    """One machine: dual coefficients ``(n,)`` and the bias; of one class only, always that."""
    duals = np.zeros(len(own))
    if own.all() or not own.any():
        return duals, 1.0 if own.all() else -1.0
    solved = SVC(C=c, kernel="precomputed", tol=tolerance).fit(kernel, own)
    duals[solved.support_] = solved.dual_coef_[0]
    return duals, float(solved.intercept_[0])
