"""One page about a whole batch: counts, failures by reason, and expressions by folder or column.

The tables are scanned shard by shard and only counts are kept, so a million rows take seconds and
little memory.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.batch.folder import BatchFolder
from mien.batch.listing import names_of_rows
from mien.batch.manifest import Plan
from mien.batch.merge import read_table
from mien.batch.run import Status
from mien.batch.shard import FACES, IMAGES, file_name
from mien.errors import InputError
from mien.faces.crops import crop_faces
from mien.labels import color_of
from mien.media.frame_reader import FrameReader
from mien.plots import image_uri, write_page
from mien.reports.html import base, percent, render
from mien.types import Faces

if TYPE_CHECKING:
    import pyarrow as pa

GROUPS, REASONS, EXAMPLES = 40, 12, 6
_SEARCHED = 200  # faces of a shard among which examples are chosen
_FACE = 144  # side of an example, pixels
_NEEDED = ("source", "time_s", "emotion", "probability", "fit", "x1", "y1", "x2", "y2")


@dataclass
class Counts:
    """What is counted while the tables are scanned.

    Attributes:
        images: by group: images and frames that could be read.
        faces: by group: faces.
        expressions: by group: faces that are fit to be judged, by expression.
        failed, reasons: inputs that failed, by group; and how often for which reason.
        examples: by expression and input: the rows of its most probable faces.
    """

    images: Counter[str] = field(default_factory=Counter)
    faces: Counter[str] = field(default_factory=Counter)
    expressions: defaultdict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    failed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


def count_batch(
    folder: BatchFolder, status: Status, groups: Mapping[str, str] | None = None
) -> Counts:
    """Scan the tables of all shards that are done.

    Args:
        folder, status: the batch.
        groups: group by name of the input; None to group by folder.
    """
    counts = Counts()
    for shard in sorted(status.done):
        name = file_name(shard)
        _count_images(counts, read_table(folder, f"{IMAGES}/{name}"), groups)
        _count_faces(counts, read_table(folder, f"{FACES}/{name}", _NEEDED), groups)
    return counts


def write_batch_report(
    folder: BatchFolder, plan: Plan, path: Path, by: str | None = None, *, overwrite: bool = False
) -> Path:
    """Write the page of a batch.

    Args:
        folder, plan: the batch.
        path: an ``.html`` file.
        by: a column of the Parquet tables among the inputs to group by; None for folders.
        overwrite: replace a file that mien did not write, too.

    Raises:
        UsageError: nothing can be written there, or the inputs have no such column.
        InputError: a file of the batch cannot be read.
    """
    status = Status.of(folder, plan)
    groups = None if by is None else dict(names_of_rows(plan.inputs, by))
    counts = count_batch(folder, status, groups)
    labels = sorted({label for one in counts.expressions.values() for label in one})
    rows = sorted(counts.images | counts.failed, key=lambda name: -counts.images[name])
    text = render(
        "batch.html",
        title=base(folder.root),
        overview=[
            (f"{status.total('images'):,}", "images"),
            (f"{status.total('frames'):,}", "video frames"),
            (f"{status.total('faces'):,}", "faces"),
            (f"{status.total('failed'):,}", "inputs failed"),
            (f"{len(status.done):,} of {plan.shards:,}", "shards done"),
        ],
        by=by or "folder",
        groups=[_group(counts, name, labels) for name in rows[:GROUPS]],
        more=len(rows) - GROUPS,
        labels=[(name, "rgb({},{},{})".format(*color_of(name, labels))) for name in labels],
        reasons=counts.reasons.most_common(REASONS),
        examples=list(_examples(counts)),
        model=plan.settings.get("classifier", ""),
        detector=plan.settings.get("detector", ""),
        frames=plan.settings.get("frames", ""),
    )
    return write_page(text, path, (".html", ".htm"), overwrite=overwrite)


def _count_images(counts: Counts, table: pa.Table, groups: Mapping[str, str] | None) -> None:
    import pyarrow.compute as pc

    names = _grouped(table["source"], groups)
    good = pc.equal(table["status"], "ok")
    counts.images.update(_tally(names.filter(good)))
    bad = table.append_column("group", names).filter(pc.invert(good))
    # A video may have many bad frames: it is one input.
    first = bad.group_by(["source", "group"], use_threads=False).aggregate([("error", "first")])
    for row in first.to_pylist():
        counts.failed[row["group"]] += 1
        counts.reasons[_reason(row["error_first"] or "", row["source"])] += 1


def _count_faces(counts: Counts, table: pa.Table, groups: Mapping[str, str] | None) -> None:
    import pyarrow.compute as pc

    names = _grouped(table["source"], groups)
    counts.faces.update(_tally(names))
    fit = pc.fill_null(table["fit"], False)
    table = table.append_column("group", names).filter(fit)
    tallied = table.group_by(["group", "emotion"]).aggregate([([], "count_all")])
    for row in tallied.to_pylist():
        counts.expressions[row["group"]][row["emotion"]] += row["count_all"]
    for label in table["emotion"].unique().to_pylist():
        best = table.filter(pc.equal(table["emotion"], label))
        best = best.sort_by([("probability", "descending")]).slice(0, _SEARCHED)
        known = counts.examples.setdefault(label, {})
        for row in best.to_pylist():  # one face of each input
            other = known.get(row["source"])
            if other is None or row["probability"] > other["probability"]:
                known[row["source"]] = row
        order = sorted(known.values(), key=lambda row: -row["probability"])
        counts.examples[label] = {row["source"]: row for row in order[:EXAMPLES]}


def _grouped(sources: pa.ChunkedArray, groups: Mapping[str, str] | None) -> pa.ChunkedArray:
    """The group of each row: the folder of its source, or what `groups` says."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if groups is None:
        return pc.replace_substring_regex(sources, r"[/\\#][^/\\#]*$", "")
    names = [groups.get(name, "–") for name in sources.to_pylist()]
    return pa.chunked_array([pa.array(names, pa.string())])


def _tally(values: pa.ChunkedArray) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in values.value_counts().to_pylist()}


def _reason(error: str, source: str) -> str:
    """An error without the name of its input, so that equal reasons are counted together."""
    text = error.replace(source, "").replace(base(source), "")
    text = re.sub(r"\d[\d.,]*", "N", text)
    return re.sub(r"\s+", " ", text).strip(" :'\"") or "unknown"


def _group(counts: Counts, name: str, labels: list[str]) -> dict[str, Any]:
    found = counts.expressions[name]
    total = sum(found.values())
    return {
        "name": name,
        "images": f"{counts.images[name]:,}",
        "faces": f"{counts.faces[name]:,}",
        "failed": f"{counts.failed[name]:,}",
        "unfit": f"{counts.faces[name] - total:,}",
        "shares": [(label, found[label] / total if total else 0.0) for label in labels],
        "texts": [percent(found[label] / total, 0) if total else "–" for label in labels],
    }


def _examples(counts: Counts) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Of each expression, its most probable faces as images, where the inputs are still there."""
    reader = FrameReader(Path.cwd())
    for label in sorted(counts.examples):
        shown = []
        for row in counts.examples[label].values():
            try:
                image = reader(row["source"], row["time_s"], None)
            except InputError:
                continue
            box = np.array([[row[name] for name in ("x1", "y1", "x2", "y2")]], np.float32)
            face = crop_faces(image, Faces(box, np.ones(1, np.float32)), _FACE)[0]
            probability = percent(row["probability"], 0)
            shown.append((image_uri(face, _FACE), probability, base(row["source"])))
        if shown:
            yield label, shown
