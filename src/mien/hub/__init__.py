"""Named weights: a list with hashes and contracts, a cache folder, downloads that are verified.

Nothing here runs unless someone asks for a download by name; analysing pictures never does.
"""

from mien.hub.bundles import bundle, unpack
from mien.hub.cache import cache_folder, cached, entry, find, path_of, pull, verify
from mien.hub.catalog import ENTRIES, PACKAGED, Entry
from mien.hub.local import add, own_card, own_models

__all__ = [
    "ENTRIES",
    "PACKAGED",
    "Entry",
    "add",
    "bundle",
    "cache_folder",
    "cached",
    "entry",
    "find",
    "own_card",
    "own_models",
    "path_of",
    "pull",
    "unpack",
    "verify",
]
