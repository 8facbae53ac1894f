"""Named weights: where they come from, their hash, and a cache folder.

Nothing here runs unless someone asks for a download by name; analysing pictures never does.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from mien.errors import ModelError


@dataclass(frozen=True)
class Archive:
    """Some members of a published ``.tgz``, pinned by the archive's SHA-256."""

    name: str
    url: str
    sha256: str
    members: tuple[str, ...]
    licence: str


#: The face network that training starts from, see `mien.training.start`.
FACERES = Archive(
    name="faceres",
    url="https://registry.npmjs.org/@vladmandic/human/-/human-3.3.6.tgz",
    sha256="425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7",
    members=("package/models/faceres.json", "package/models/faceres.bin"),
    licence="MIT",
)


def cache_folder() -> Path:
    """Where fetched weights lie: ``$MIEN_CACHE``, or ``mien`` in the user's cache folder."""
    own = os.environ.get("MIEN_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mien"


def fetch(archive: Archive) -> Path:
    """The folder with the archive's members, downloaded and verified on first use.

    Raises:
        ModelError: no network, or the bytes do not have the pinned hash.
    """
    folder = cache_folder() / archive.name
    if all((folder / Path(member).name).is_file() for member in archive.members):
        return folder
    try:
        with urllib.request.urlopen(archive.url, timeout=60) as answer:
            data = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise ModelError(
            f"{archive.name} could not be downloaded from {archive.url} ({error}); "
            f"put {' and '.join(Path(m).name for m in archive.members)} into {folder}."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != archive.sha256:
        raise ModelError(
            f"{archive.url} has changed: its SHA-256 is {found}, expected {archive.sha256}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        for member in archive.members:
            source = package.extractfile(member)
            if source is None:
                raise ModelError(f"{archive.url} holds no {member}.")
            target = folder / Path(member).name
            partial = target.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(source.read())
            partial.replace(target)
    return folder
