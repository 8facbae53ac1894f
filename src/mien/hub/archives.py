"""The cache folder, and published archives of which only some members are wanted."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from mien.errors import ModelError


def cache_folder() -> Path:
    """Where fetched weights lie: ``$MIEN_CACHE``, or ``mien`` in the user's cache folder."""
    own = os.environ.get("MIEN_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mien"


def extract(source: Path, members: Sequence[str], folder: Path) -> None:
    """Write members of a ``.tgz`` into a folder, by their last name.

    Raises:
        ModelError: it is no such archive, or lacks one of them.
    """
    try:
        with tarfile.open(source) as package:
            for member in members:
                file = package.extractfile(member)
                if file is None:
                    raise KeyError(member)
                target = folder / Path(member).name
                partial = target.with_name(f"{target.name}.partial")
                partial.write_bytes(file.read())
                partial.replace(target)
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise ModelError(f"{source} does not hold {' and '.join(members)}: {error}.") from error
