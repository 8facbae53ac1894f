"""Who goes with whom: the best pairs of a small table of gains, exactly.

The tables are tiny (people in one picture), so that the method of Kuhn 1955 in the form of
shortest augmenting paths (Jonker and Volgenant 1987) fits in a few lines and needs no library.
Exact rather than greedy: where two people cross, the greedy choice gives the first its best
place and the second whatever is left.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Gains = npt.NDArray[np.float64]


def assign(gains: Gains) -> list[tuple[int, int]]:
    """The pairs ``(row, column)`` with the greatest sum of gains, each row and column once.

    Args:
        gains: ``(n, m)``; a pair whose gain is not above 0 is never made, NaN neither.

    Returns:
        the pairs, by row.
    """
    wanted = np.nan_to_num(np.maximum(gains, 0.0), nan=0.0)
    turned = wanted.shape[0] > wanted.shape[1]
    table = -(wanted.T if turned else wanted)
    if not table.size:
        return []
    chosen = _cheapest(table)
    pairs = [(row, column) for row, column in enumerate(chosen) if table[row, column] < 0]
    return sorted((column, row) for row, column in pairs) if turned else pairs


def _cheapest(costs: Gains) -> list[int]:
    """For each row of ``(n, m)``, n <= m, its column, so that the sum of costs is least."""
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)
    for new in range(rows):
        reach = np.full(columns, np.inf)  # the shortest path to each column so far
        came_from = np.full(columns, -1)
        done = np.zeros(columns, bool)
        row, column, length = new, -1, 0.0
        while row >= 0:
            step = length + costs[row] - row_price[row] - column_price
            closer = ~done & (step < reach)
            reach[closer], came_from[closer] = step[closer], column
            column = int(np.where(done, np.inf, reach).argmin())
            length = reach[column]
            done[column] = True
            row = int(owner[column])
        held = done & (owner >= 0)
        row_price[owner[held]] += length - reach[held]
        row_price[new] += length
        column_price[done] -= length - reach[done]
        while column >= 0:  # hand the columns over along the path
            before = int(came_from[column])
            owner[column] = owner[before] if before >= 0 else new
            column = before
    return [int(np.flatnonzero(owner == row)[0]) for row in range(rows)]
