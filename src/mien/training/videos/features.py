"""The descriptors of films, each kept in a file as soon as it is known.

Looking at films takes hours; a run that is stopped goes on where it was, and one with another
kernel or kind begins at once.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.analyzer import EmotionAnalyzer
from mien.errors import InputError, UsageError
from mien.files import replacing
from mien.media.video import VideoSource
from mien.results.files import SUFFIXES
from mien.results.result import Result
from mien.timeline.descriptors import KINDS, Kind
from mien.timeline.timeline import Timeline
from mien.types import FloatArray

Watch = Callable[[Iterable[Result]], Iterator[Result]]
_MODEL, _SHA256 = "classifier", "classifier_sha256"


@dataclass(frozen=True, eq=False)
class Footage:
    """What is known of one film.

    Attributes:
        values: its descriptor ``(4 d,)`` by kind; none where there was too little to see.
        problem: by kind, why there is none; "" where there is one.
        left_out: by kind, frames with a face whose features are missing.
        model, sha256: name and file of the model that gave the features; "" where unknown.
    """

    values: dict[str, FloatArray]
    problem: dict[str, str]
    left_out: dict[str, int]
    model: str
    sha256: str


class Camera:
    """Looks at films, or at tables of them.

    Args:
        cache: folder for what was seen; made when there is something.
        make: gives the analyzer, on first use; it has to tell "features".
        fps: frames a second that are looked at, at most; None for all.
        watch: passes the results of a film through, to show how far it is.

    Attributes:
        words: which frames were looked at, for the model's card; "" for all.
    """

    words = ""

    def __init__(
        self,
        cache: Path,
        make: Callable[[], EmotionAnalyzer],
        fps: float | None = None,
        watch: Watch = iter,
    ) -> None:
        self._cache, self._make, self._fps, self._watch = cache, make, fps, watch
        self._analyzer: EmotionAnalyzer | None = None
        if fps is not None:
            self.words = f"at most {fps:g} frames a second"

    def look(self, path: Path, kind: Kind) -> Footage:
        """What is known of one film: of a table the descriptor of `kind`, of a film every one.

        Raises:
            InputError: it cannot be read.
            UsageError: a table without features.
        """
        if path.suffix.lower() in SUFFIXES:
            return described(_table(path), (kind,))
        if self._analyzer is None:
            self._analyzer = self._make()
        kept = self._place(path, self._analyzer)
        found = _load(kept)
        if found is None:
            source = VideoSource(path, fps=self._fps)
            results = self._watch(self._analyzer.stream(source))
            timeline = Timeline.from_results(results, keep_faces=False)
            _check_read(path, timeline)
            found = described(timeline)
            kept.parent.mkdir(parents=True, exist_ok=True)
            _save(found, kept)
        return found

    def _place(self, path: Path, analyzer: EmotionAnalyzer) -> Path:
        """Where it is kept: another file, model, detector or rate is another place."""
        known = path.stat()
        how = [str(path.resolve()), known.st_size, known.st_mtime_ns, self._fps]
        text = json.dumps([*how, sorted(analyzer.settings.to_metadata().items())])
        return self._cache / f"{path.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.npz"


def described(timeline: Timeline, kinds: Sequence[Kind] = KINDS) -> Footage:
    """The descriptors of a film of which the features were kept."""
    values: dict[str, FloatArray] = {}
    problem: dict[str, str] = dict.fromkeys(KINDS, "")
    left_out: dict[str, int] = dict.fromkeys(KINDS, 0)
    for kind in kinds:
        try:
            found = timeline.descriptor(group=kind == "group")
        except InputError as error:
            problem[kind] = str(error)
            continue
        values[kind], left_out[kind] = found.values, found.left_out
    sha256 = timeline.settings.classifier_sha256
    if timeline.embeddings is not None:
        sha256 = timeline.embeddings.model
    name = timeline.settings.classifier or "an unknown model"
    return Footage(values, problem, left_out, name, sha256)


def same_model(footage: Iterable[tuple[str, Footage]], kind: Kind) -> Footage:
    """The first that has a descriptor; all others are of the same model.

    Raises:
        InputError: there is none.
        UsageError: some are of another model.
    """
    first: tuple[str, Footage] | None = None
    for name, found in footage:
        if kind not in found.values:
            continue
        first = first or (name, found)
        one, other = first[1], found
        length = len(one.values[kind]), len(other.values[kind])
        if one.sha256 != other.sha256 or length[0] != length[1]:
            raise UsageError(
                f"the features of {first[0]} and {name} are of different models "
                f"({_told(one)} and {_told(other)}): analyse all films with one."
            )
    if first is None:
        raise InputError("no film has a face to learn from.")
    return first[1]


def _told(found: Footage) -> str:
    return f"{found.model} {found.sha256[:8]}".strip()


def _table(path: Path) -> Timeline:
    timeline = Timeline.load(path)
    if len(timeline.sources) != 1:
        raise InputError(f"{path} is a table of {len(timeline.sources)} films: give one of each.")
    return timeline


def _check_read(path: Path, timeline: Timeline) -> None:
    failed = timeline.images[timeline.images["status"] == "error"]
    if len(failed) and len(failed) == len(timeline.images):
        raise InputError(f"no frame of {path} can be read: {failed['error'].iloc[0]}")


def _save(found: Footage, path: Path) -> None:
    """Numbers and texts as arrays; nothing that runs when it is read."""
    kept: dict[str, Any] = {"model": np.array(found.model), "sha256": np.array(found.sha256)}
    for kind in KINDS:
        kept[f"problem_{kind}"] = np.array(found.problem[kind])
        kept[f"left_out_{kind}"] = np.array(found.left_out[kind])
        if kind in found.values:
            kept[f"values_{kind}"] = found.values[kind]
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **kept)


def _load(path: Path) -> Footage | None:
    """What was kept, or None where there is nothing, or nothing whole."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
        return Footage(
            {kind: kept[f"values_{kind}"] for kind in KINDS if f"values_{kind}" in kept},
            {kind: str(kept[f"problem_{kind}"]) for kind in KINDS},
            {kind: int(kept[f"left_out_{kind}"]) for kind in KINDS},
            str(kept["model"]),
            str(kept["sha256"]),
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
