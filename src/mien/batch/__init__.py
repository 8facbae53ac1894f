"""Batches: any number of files as shards, which any number of processes and machines can do.

`BatchFolder` holds everything. `begin` lists the inputs once into a manifest; a shard
(`mien.batch.shard`) is the unit of work, written whole or not at all; `Workers` do shards here,
`mien.batch.rays` on a Ray cluster; `merge` makes one table of them. `Analyze` is for pipelines that
exist already.
"""

from __future__ import annotations

from mien.batch.analyze import Analyze
from mien.batch.folder import BatchFolder
from mien.batch.merge import merge
from mien.batch.options import BatchOptions
from mien.batch.run import Status, begin, read_batch
from mien.batch.workers import Workers

__all__ = [
    "Analyze",
    "BatchFolder",
    "BatchOptions",
    "Status",
    "Workers",
    "begin",
    "merge",
    "read_batch",
]
