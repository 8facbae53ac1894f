"""Support-vector machines on the descriptors of films, one a label against the rest.

scikit-learn's `SVC` solves each (Platt 1998; Chang and Lin 2011), on kernel values that are
computed once for all films, so that cross-validation costs no more than its solver. One machine a
label, as in the papers' linear ones (one-vs-rest), also with the RBF kernel: each label then has
one margin, which is what is exported and calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.svm import SVC

from mien.types import Floats, IntArray

Kernel = Literal["linear", "rbf"]

KERNELS: tuple[Kernel, ...] = ("linear", "rbf")
_TINY = 1e-12  # a descriptor of zeros stays one
#: How near to its solution the solver ends: with the first, margins are right to four digits.
CLOSE, ROUGH = 1e-5, 1e-3


def normalised(descriptors: npt.ArrayLike) -> Floats:
    """Each row of ``(n, D)`` brought to length 1."""
    rows = np.asarray(descriptors, np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _TINY))


class Films:
    """The descriptors of n films, and the kernel values between all of them.

    Args:
        descriptors: ``(n, D)``, of any length.
        labels: ``(n,)`` numbers from 0 to k - 1.
        count: k.
        kernel: ``linear``, or ``rbf``, ``exp(-gamma |a - b|^2)``.
    """

    def __init__(
        self, descriptors: npt.ArrayLike, labels: IntArray, count: int, kernel: Kernel
    ) -> None:
        self.units = normalised(descriptors)
        self.labels, self.count, self.kernel = np.asarray(labels), count, kernel
        self._products = self.units @ self.units.T
        self._squares = np.diag(self._products).copy()
        self._sums = self.units.sum(axis=1)

    def __len__(self) -> int:
        return len(self.units)

    def gamma(self, rows: IntArray) -> float:
        """1 over the length and the variance of what is in `rows`: scikit-learn's "scale"."""
        if self.kernel == "linear":
            return 0.0
        width = self.units.shape[1]
        mean = self._sums[rows].mean() / width
        variance = self._squares[rows].mean() / width - mean**2
        return float(1 / (width * variance)) if variance > _TINY else 1.0

    def values(self, rows: IntArray, columns: IntArray, gamma: float) -> Floats:
        """``(len(rows), len(columns))`` kernel values."""
        products = self._products[np.ix_(rows, columns)]
        if self.kernel == "linear":
            return products
        apart = self._squares[rows][:, None] + self._squares[columns] - 2 * products
        return np.asarray(np.exp(-gamma * np.maximum(apart, 0)))

    def fit(self, rows: IntArray, c: float, close: float = CLOSE) -> Machine:
        """Machines that tell apart the labels of the films `rows`.

        Args:
            rows: numbers of films.
            c: what an error costs, as against a narrow margin.
            close: how near to its solution the solver ends; `ROUGH` does for choosing C.
        """
        gamma = self.gamma(rows)
        known = self.values(rows, rows, gamma)
        duals, bias = np.zeros((len(rows), self.count)), np.zeros(self.count)
        for label in range(self.count):
            duals[:, label], bias[label] = _solve(known, self.labels[rows] == label, c, close)
            if self.count == 2:  # the two machines are mirror images
                duals[:, 1], bias[1] = -duals[:, 0], -bias[0]
                break
        used = np.flatnonzero(duals.any(axis=1))
        return Machine(self.kernel, gamma, c, rows[used], self.units[rows[used]], duals[used], bias)

    def margins(self, machine: Machine, rows: IntArray) -> Floats:
        """``(len(rows), k)`` what a machine of these films says of the films `rows`."""
        known = self.values(rows, machine.rows, machine.gamma)
        return np.asarray(known @ machine.duals + machine.bias)


@dataclass(frozen=True, eq=False)
class Machine:
    """Fitted machines: the margin of label j is ``sum_i duals[i, j] K(x, units[i]) + bias[j]``.

    Attributes:
        kernel, gamma, c: as fitted.
        rows: ``(s,)`` numbers of the films that bear it.
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
    def settings(self) -> dict[str, Any]:
        """What a card tells of it."""
        return {"kernel": self.kernel, "c": self.c, "gamma": self.gamma}

    @property
    def weights(self) -> Floats:
        """``(k, D)``, of a linear machine."""
        return np.asarray(self.duals.T @ self.units)


def _solve(
    known: Floats, own: npt.NDArray[np.bool_], c: float, close: float
) -> tuple[Floats, float]:
    """One machine: a dual a film, and the bias; for films of one side only, that side."""
    duals = np.zeros(len(own))
    if own.all() or not own.any():
        return duals, 1.0 if own.all() else -1.0
    solved = SVC(C=c, kernel="precomputed", tol=close).fit(known, own)
    duals[solved.support_] = solved.dual_coef_[0]
    return duals, float(solved.intercept_[0])
