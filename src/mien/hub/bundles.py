"""Bundles of models for a machine without a network.

A bundle holds published models as published, which are verified by the hash in the catalog, and the
user's own models as ``own/NAME.onnx``, whose hashes and cards are in ``own.json``.
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
    """Pack downloaded models and the user's own ones into a folder or a ``.tar``.

    Without names, all are packed.

    Returns:
        The names of the packed models.

    Raises:
        ModelError: one has not been downloaded, or its file is damaged.
        UsageError: there is nothing to pack, or `target` cannot be written.
    """
    own = own_models()
    wanted = list(names) or [*(name for name, _ in verify()), *own]
    if not wanted:
        raise UsageError("no model has been downloaded yet; run: mien models pull NAME")
    paths: dict[str, Path] = {}
    listed: dict[str, dict[str, Any]] = {}
    for name in wanted:
        if name in own:
            paths[f"{_OWN}/{name}.onnx"] = own[name]
            listed[name] = {"sha256": file_sha256(own[name]), "card": own_card(name) or {}}
            continue
        path_of(name)  # raises if it has not been downloaded
        weights = find(name)
        path = original(weights)
        if not path.is_file() or file_hash(path, weights.pin) != weights.pin:
            raise ModelError(f"{path} is missing or damaged; run: mien models pull {name}")
        paths[weights.file] = path
    try:
        _write(target, paths, json.dumps(listed).encode() if listed else b"")
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
    """Import a bundle. Only files with the right hash are accepted.

    No member is extracted to a path from the archive: each is read as bytes if its name is in the
    catalog or valid for a user's own model, so hostile names have no effect.

    Returns:
        The names of the imported models.

    Raises:
        InputNotFoundError: there is no such file or folder.
        ModelError: it is not a bundle, or a file in it is not the one that was packed.
        UsageError: another model of the user has the name of one in the bundle.
    """
    if source.is_dir():
        files = _files(source)
    elif source.is_file():
        files = _members(source)
    else:
        raise InputNotFoundError(f"there is no bundle {source}.")
    own = _listed(source, files.pop(_LIST, b"{}"))
    if not own and not any(map(of_file, files)):
        raise ModelError(f"{source} contains no model of the catalog, and none of your own.")
    for name, item in own.items():  # before anything is written
        _check_own(source, name, item, files.get(f"{_OWN}/{name}.onnx", b""))
    published = [_import(source, file, data) for file, data in files.items() if of_file(file)]
    for name, item in own.items():
        write(files[f"{_OWN}/{name}.onnx"], name, item["card"])
    return [*published, *own]


def _import(source: Path, file: str, data: bytes) -> str:
    """Store a published model in the cache."""
    weights = of_file(file)
    assert weights is not None
    path = original(weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
        if file_hash(temporary, weights.pin) != weights.pin:
            raise ModelError(f"{file} in {source} is not the published file; it was not imported.")
    ready(weights)
    return weights.name


def _listed(source: Path, text: bytes) -> dict[str, dict[str, Any]]:
    """Hash and card of the user's own models in the bundle, by name."""
    try:
        own = parse_card(text.decode("utf-8"), _LIST)
        return {
            name: {"sha256": str(a["sha256"]), "card": dict(a["card"])} for name, a in own.items()
        }
    except (ModelError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{source} is not a bundle of models: {_LIST} cannot be read.") from error


def _check_own(source: Path, name: str, item: dict[str, Any], data: bytes) -> None:
    try:
        check_name(name)
    except UsageError as error:
        raise ModelError(f"{source} contains a model that cannot be imported: {error}") from error
    if hashlib.sha256(data).hexdigest() != item["sha256"]:
        raise ModelError(
            f"{name} in {source} is not the file that was packed; it was not imported."
        )
    here = own_models().get(name)
    if here is not None and file_sha256(here) != item["sha256"]:
        raise UsageError(
            f"you have another model {name} already: delete {here} to import that of {source}."
        )


def _files(source: Path) -> dict[str, bytes]:
    paths = [*source.iterdir(), *source.glob(f"{_OWN}/*")]
    names = {path.relative_to(source).as_posix(): path for path in paths}
    links = [name for name, path in names.items() if path.is_symlink() and _is_ours(name)]
    if links or (source / _OWN).is_symlink():
        raise ModelError(
            f"{source} is not a bundle of models: {', '.join(links) or _OWN} is a link."
        )
    names = {name: path for name, path in names.items() if _is_ours(name) and path.is_file()}
    _check_sizes(source, {name: path.stat().st_size for name, path in names.items()})
    return {name: path.read_bytes() for name, path in names.items()}


def _members(source: Path) -> dict[str, bytes]:
    most = source.stat().st_size  # a .tar is not compressed
    try:
        with tarfile.open(source, "r:") as package:
            files = [member for member in package if member.isreg() and _is_ours(member.name)]
            _check_sizes(source, {member.name: member.size for member in files})
            return {member.name: read_member(package, member, most) for member in files}
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ModelError(
            f"{source} is not a bundle of models ({error}): give the folder or the .tar as "
            "mien models bundle wrote it."
        ) from error


def _check_sizes(source: Path, sizes: Mapping[str, int]) -> None:
    """Check sizes before any memory is allocated.

    Raises:
        ModelError: a file is larger than it can be.
    """
    for name, size in sizes.items():
        weights = of_file(name)
        most = weights.most if weights else MOST_BYTES
        if size > most:
            raise ModelError(f"{name} in {source} has {size:,} bytes, more than {most:,}.")


def _is_ours(file: str) -> bool:
    """Whether a file of this name belongs in a bundle."""
    return of_file(file) is not None or file == _LIST or file.startswith(f"{_OWN}/")
