"""The cache of published models: where they are stored, downloading, verification, removal."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from mien.errors import ModelError, UsageError
from mien.files import replacing
from mien.hub.catalog import ENTRIES, Entry
from mien.hub.downloads import Report, alone, download, file_hash
from mien.models.card import ENGAGEMENT_KEY
from mien.models.session import file_sha256

_MAX_RATIO = 20  # weights compress at most by this factor


def entry(name: str) -> Entry | None:
    """The catalog entry of this name, or None."""
    return next((entry for entry in ENTRIES if entry.name == name), None)


def find(name: str) -> Entry:
    """The catalog entry of this name.

    Raises:
        UsageError: there is none; the message lists the names.
    """
    published = entry(name)
    if published is None:
        names = ", ".join(entry.name for entry in ENTRIES)
        raise UsageError(f"no model {name!r} can be downloaded; available: {names}.")
    return published


def of_file(file: str) -> Entry | None:
    """The catalog entry with this file name, or None."""
    return next((entry for entry in ENTRIES if entry.file == file), None)


def cached(weights: Entry) -> Path:
    """Path of the model file once downloaded; of an archive, that of its first member."""
    if weights.members:
        return cache_folder() / weights.name / Path(weights.members[0]).name
    return cache_folder() / "models" / f"{weights.name}.onnx"


def original(weights: Entry) -> Path:
    """Path of the file as published; converted or extracted files are stored beside it."""
    return cached(weights).with_name(weights.file)


def path_of(name: str) -> Path:
    """The file of a downloaded model; of an archive, its first member.

    Raises:
        ModelError: it has not been downloaded.
        UsageError: there is no such model.
    """
    weights = find(name)
    path = cached(weights)
    if not path.is_file():
        raise ModelError(f"{name} is not downloaded yet; run: mien models pull {name}")
    return path


def pull(name: str, report: Report | None = None) -> Path:
    """Download a published model, unless it is in the cache.

    ``$MIEN_MIRROR`` is the URL of a server to use instead of the original one; the hash must be
    the same.

    Raises:
        UsageError: there is no such model, or the mirror is not a URL.
        ModelError: no network, no disk space, or not the published file.
    """
    weights = find(name)
    path = original(weights)
    if not (path.is_file() and file_hash(path, weights.pin) == weights.pin):
        mirror = os.environ.get("MIEN_MIRROR")
        url = f"{mirror.rstrip('/')}/{weights.file}" if mirror else weights.url
        download(url, path, weights.pin, report, weights.size, weights.most)
    return ready(weights)


def ready(weights: Entry) -> Path:
    """The model file of a downloaded entry, converted or extracted first where necessary."""
    path = cached(weights)
    if weights.suffix == ".onnx" or _is_unchanged(weights):
        return path
    with alone(path.with_name(f"{path.name}.lock")):
        if not _is_unchanged(weights):  # unless another process has just done it
            _convert(weights)
            with replacing(_record(weights)) as record:
                record.write_text(json.dumps(_hashes(weights)), encoding="utf-8")
    return path


def _convert(weights: Entry) -> None:
    source, target = original(weights), cached(weights)
    if weights.suffix == ".tgz":
        extract(source, weights.members, target.parent)
    elif weights.kind == "engagement":
        from mien.hub.converters.attention import convert_attention

        convert_attention(source, target, {ENGAGEMENT_KEY: json.dumps(weights.card_fields())})
    else:
        from mien.hub.converters.keras import convert_keras

        convert_keras(source, target)


def _record(weights: Entry) -> Path:
    """The file with the hashes of converted or extracted files, which are not published."""
    return cached(weights).with_name(f"{weights.name}.made.json")


def _hashes(weights: Entry) -> dict[str, str]:
    files = [cached(weights).with_name(Path(m).name) for m in weights.members] or [cached(weights)]
    return {"of": weights.pin} | {file.name: file_sha256(file) for file in files}


def _is_unchanged(weights: Entry) -> bool:
    """Whether the converted or extracted files are unchanged."""
    try:
        recorded = json.loads(_record(weights).read_text(encoding="utf-8"))
        return bool(recorded == _hashes(weights))
    except (OSError, ValueError):
        return False


def _is_good(weights: Entry) -> bool:
    """Whether the file is the published one, and files made from it are unchanged."""
    if file_hash(original(weights), weights.pin) != weights.pin:
        return False
    return weights.suffix == ".onnx" or _is_unchanged(weights)


def verify() -> list[tuple[str, bool]]:
    """Every downloaded model, and whether its file is the published one.

    Files that were converted or extracted from it must be unchanged, too.
    """
    return [(entry.name, _is_good(entry)) for entry in ENTRIES if original(entry).is_file()]


def cache_folder() -> Path:
    """The folder of downloaded models: ``$MIEN_CACHE``, or ``mien`` in the user's cache folder."""
    override = os.environ.get("MIEN_CACHE")
    if override:
        return Path(override)
    from platformdirs import user_cache_path

    return user_cache_path("mien", appauthor=False)


def read_member(package: tarfile.TarFile, member: str | tarfile.TarInfo, most: int) -> bytes:
    """One file of an archive.

    Raises:
        KeyError: there is no such file.
        tarfile.TarError: it declares more than `most` bytes; nothing of it is read.
    """
    info = package.getmember(member) if isinstance(member, str) else member
    if info.size > most:
        raise tarfile.ReadError(f"{info.name} declares {info.size:,} bytes")
    file = package.extractfile(info) if info.isreg() else None
    if file is None:
        raise KeyError(info.name)
    return file.read()


def extract(source: Path, members: Sequence[str], folder: Path) -> None:
    """Extract members of a ``.tgz`` into a folder, under their base names.

    Raises:
        ModelError: it is not such an archive, lacks a member, or one is far too large.
    """
    most = _MAX_RATIO * source.stat().st_size
    try:
        with tarfile.open(source) as package:
            for member in members:
                data = read_member(package, member, most)
                with replacing(folder / Path(member).name) as temporary:
                    temporary.write_bytes(data)
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise ModelError(f"{source} does not contain {' and '.join(members)}: {error}.") from error


def remove(name: str) -> None:
    """Delete a downloaded model and the files made from it.

    Raises:
        ModelError: it has not been downloaded.
        UsageError: there is no such model.
    """
    path_of(name)
    weights = find(name)
    members = [cached(weights).with_name(Path(member).name) for member in weights.members]
    for path in {original(weights), cached(weights), _record(weights), *members}:
        path.unlink(missing_ok=True)
