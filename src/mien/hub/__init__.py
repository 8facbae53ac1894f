"""Named weights: a list with hashes and contracts, a cache folder, downloads that are verified.

Nothing here runs unless someone asks for a download by name; analysing pictures never does.
"""

from mien.hub.archives import FACERES, Archive, cache_folder, fetch, folder_of
from mien.hub.entries import ENTRIES, Entry
from mien.hub.store import (
    add,
    bundle,
    cached,
    entry,
    find,
    own_models,
    path_of,
    pull,
    unpack,
    verify,
)

__all__ = [
    "ENTRIES",
    "FACERES",
    "Archive",
    "Entry",
    "add",
    "bundle",
    "cache_folder",
    "cached",
    "entry",
    "fetch",
    "find",
    "folder_of",
    "own_models",
    "path_of",
    "pull",
    "unpack",
    "verify",
]
