"""Named models: a catalog with hashes and cards, a cache folder, and verified downloads.

Nothing is downloaded unless it is requested by name; analyzing images never downloads anything.
"""

from mien.hub.bundles import bundle, unpack
from mien.hub.cache import cache_folder, cached, entry, find, path_of, pull, remove, verify
from mien.hub.catalog import ENTRIES, PACKAGED, Entry
from mien.hub.local import add, check_free, own_card, own_models, remove_own

__all__ = [
    "ENTRIES",
    "PACKAGED",
    "Entry",
    "add",
    "bundle",
    "cache_folder",
    "cached",
    "check_free",
    "entry",
    "find",
    "own_card",
    "own_models",
    "path_of",
    "pull",
    "remove",
    "remove_own",
    "unpack",
    "verify",
]
