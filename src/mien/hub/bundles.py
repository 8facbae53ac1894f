"""Models for a machine without a network: packed here, taken in there.

Published weights lie in a bundle as they were published, and count by the hash in the hub's list.
Models of one's own lie in it as ``own/NAME.onnx``, and ``own.json`` tells their hash and card.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien.errors import InputNotFoundError, ModelError, UsageError
from mien.files import replacing
from mien.hub.cache import find, of_file, original, path_of, read_member, ready, verify
from mien.hub.catalog import MOST_BYTES
from mien.hub.downloads import file_hash
from mien.hub.local import check_name, own_card, own_models, write
from mien.models.card import parse_card
from mien.models.session import file_sha256

_OWN = "own"
_LIST = "own.json"


def bundle(names: Sequence[str], target: Path) -> list[str]:
    """Pack fetched models and those of one's own: a folder, or a ``.tar``.

    Args:
        names: of the models; empty: all that are here.
        target: where to.

    Returns:
        The names of what was packed.

    Raises:
        ModelError: one has not been fetched, or its file is damaged.
        UsageError: there is nothing to pack, or nothing can be written there.
    """
    own = own_models()
    wanted = list(names) or [*(name for name, _ in verify()), *own]
    if not wanted:
        raise UsageError("nothing has been fetched yet; run: mien models pull NAME")
    paths: dict[str, Path] = {}
    told: dict[str, dict[str, Any]] = {}
    for name in wanted:
        if name in own:
            paths[f"{_OWN}/{name}.onnx"] = own[name]
            told[name] = {"sha256": file_sha256(own[name]), "card": own_card(name) or {}}
            continue
        path_of(name)  # says what to run for one that is not here
        known = find(name)
        path = original(known)
        if not path.is_file() or file_hash(path, known.pin) != known.pin:
            raise ModelError(f"{path} is missing or damaged; run: mien models pull {name}")
        paths[known.file] = path
    try:
        _write(target, paths, json.dumps(told).encode() if told else b"")
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}.") from error
    return wanted


def _write(target: Path, paths: dict[str, Path], listed: bytes) -> None:
    if target.suffix != ".tar":
        for name, path in paths.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)
        if listed:
            (target / _LIST).write_bytes(listed)
        return
    with replacing(target) as temporary, tarfile.open(temporary, "w") as package:
        for name, path in paths.items():
            package.add(path, name)
        if listed:
            member = tarfile.TarInfo(_LIST)
            member.size = len(listed)
            package.addfile(member, io.BytesIO(listed))


def unpack(source: Path) -> list[str]:
    """Take in what `bundle` packed. Only files with the right hash are kept.

    Nothing is unpacked to a path that an archive names: each member is read as bytes, by its
    name in the hub's list or by one that a model of one's own may have, so a hostile name leads
    nowhere.

    Returns:
        The names of what was taken in.

    Raises:
        InputNotFoundError: there is nothing at `source`.
        ModelError: it is no bundle, or a file in it is not the one that was packed.
        UsageError: another model of one's own has the name of one in it.
    """
    if source.is_dir():
        found = _files(source)
    elif source.is_file():
        found = _members(source)
    else:
        raise InputNotFoundError(f"there is no bundle {source}.")
    own = _listed(source, found.pop(_LIST, b"{}"))
    if not own and not any(map(of_file, found)):
        raise ModelError(f"{source} holds no model of the hub's list, and none of your own.")
    for name, told in own.items():  # before anything is kept
        _check_own(source, name, told, found.get(f"{_OWN}/{name}.onnx", b""))
    taken = [_take(source, file, data) for file, data in found.items() if of_file(file)]
    for name, told in own.items():
        write(found[f"{_OWN}/{name}.onnx"], name, told["card"])
    return [*taken, *own]


def _take(source: Path, file: str, data: bytes) -> str:
    """Keep published weights under their name."""
    known = of_file(file)
    assert known is not None
    path = original(known)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        if file_hash(temporary, known.pin) != known.pin:
            raise ModelError(
                f"{file} in {source} is not the published file; nothing of it is kept."
            )
    ready(known)
    return known.name


def _listed(source: Path, text: bytes) -> dict[str, dict[str, Any]]:
    """What the bundle tells of models of one's own: hash and card by name."""
    try:
        own = parse_card(text.decode("utf-8"), _LIST)
        return {
            name: {"sha256": str(a["sha256"]), "card": dict(a["card"])} for name, a in own.items()
        }
    except (ModelError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{source} is no bundle of models: {_LIST} cannot be read.") from error


def _check_own(source: Path, name: str, told: dict[str, Any], data: bytes) -> None:
    try:
        check_name(name)
    except UsageError as error:
        raise ModelError(f"{source} holds a model that cannot be taken in: {error}") from error
    if hashlib.sha256(data).hexdigest() != told["sha256"]:
        raise ModelError(f"{name} in {source} is not what was packed; nothing of it is kept.")
    here = own_models().get(name)
    if here is not None and file_sha256(here) != told["sha256"]:
        raise UsageError(
            f"you have another model {name} already: take {here} away to take in that of {source}."
        )


def _files(source: Path) -> dict[str, bytes]:
    paths = [*source.iterdir(), *source.glob(f"{_OWN}/*")]
    names = {path.relative_to(source).as_posix(): path for path in paths}
    links = [name for name, path in names.items() if path.is_symlink() and _is_ours(name)]
    if links or (source / _OWN).is_symlink():
        raise ModelError(f"{source} is no bundle of models: {', '.join(links) or _OWN} is a link.")
    names = {name: path for name, path in names.items() if _is_ours(name) and path.is_file()}
    _check_sizes(source, {name: path.stat().st_size for name, path in names.items()})
    return {name: path.read_bytes() for name, path in names.items()}


def _members(source: Path) -> dict[str, bytes]:
    most = source.stat().st_size  # a .tar is not compressed: what is more is not there
    try:
        with tarfile.open(source, "r:") as package:
            files = [member for member in package if member.isreg() and _is_ours(member.name)]
            _check_sizes(source, {member.name: member.size for member in files})
            return {member.name: read_member(package, member, most) for member in files}
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ModelError(
            f"{source} is no bundle of models ({error}): give the folder or the .tar as "
            "mien models bundle wrote it."
        ) from error


def _check_sizes(source: Path, sizes: Mapping[str, int]) -> None:
    """Look at what is to be read before memory is asked for.

    Raises:
        ModelError: one file has more bytes than it can have.
    """
    for name, size in sizes.items():
        known = of_file(name)
        most = known.most if known else MOST_BYTES
        if size > most:
            raise ModelError(f"{name} in {source} has {size:,} bytes, more than {most:,}.")


def _is_ours(file: str) -> bool:
    """Whether a file of this name can be in a bundle."""
    return of_file(file) is not None or file == _LIST or file.startswith(f"{_OWN}/")
