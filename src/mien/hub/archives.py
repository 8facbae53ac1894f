"""Named weights: where they come from, their hash, and a cache folder.

Nothing here runs unless someone asks for a download by name; analysing pictures never does.
"""

from __future__ import annotations

import os
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mien.errors import ModelError
from mien.hub.downloads import Report, address, download


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


def folder_of(archive: Archive) -> Path:
    """The folder with the archive's members, once they have been fetched.

    Raises:
        ModelError: they are not here.
    """
    folder = cache_folder() / archive.name
    if not all((folder / Path(member).name).is_file() for member in archive.members):
        raise ModelError(
            f"{archive.name} is not on this machine yet; run: mien models pull {archive.name}"
        )
    return folder


def fetch(archive: Archive, report: Report | None = None) -> Path:
    """The same folder, downloaded and verified if need be.

    Raises:
        ModelError: no network, or the bytes do not have the pinned hash.
    """
    with suppress(ModelError):
        return folder_of(archive)
    folder = cache_folder() / archive.name
    url = address(archive.url, archive.url.rsplit("/", 1)[-1])
    package = download(url, folder / "package.tgz", archive.sha256, report)
    with tarfile.open(package) as members:
        for member in archive.members:
            source = members.extractfile(member)
            if source is None:
                raise ModelError(f"{archive.url} holds no {member}.")
            target = folder / Path(member).name
            partial = target.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(source.read())
            partial.replace(target)
    package.unlink()
    return folder
