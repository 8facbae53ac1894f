"""Failures of detectors and classifiers: an error in a row, unless nothing works."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from mien.errors import PluginError
from mien.results.result import Result

GIVE_UP = 100
"""Inputs after which a detector or classifier that has failed at all of them is given up."""


def unless_all_fail(results: Generator[Result], give_up: int = GIVE_UP) -> Generator[Result]:
    """Hand results on, and in the end raise where a plug failed at each of them.

    One that fails at some inputs leaves rows with an error; one that never works is broken, which
    concerns the whole run. `give_up` failures without a success are enough.

    Raises:
        PluginError: of those inputs that could be read, a plug failed at every one.
    """
    failures, works, last = 0, False, ""
    with closing(results):
        for result in results:
            yield result
            works = works or result.error is None
            if result.error is not None and result.size is not None:  # it was read: a plug failed
                failures, last = failures + 1, result.error
            if failures >= give_up and not works:
                break
    if failures and not works:
        raise PluginError(last)
