"""Models that the user added under a name of their own, each with its card beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.errors import InputNotFoundError, UsageError
from mien.files import replacing
from mien.hub.cache import cache_folder, entry
from mien.hub.catalog import PACKAGED
from mien.models.card import read_fields

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def own_models() -> dict[str, Path]:
    """The models that the user added, by name."""
    folder = own_folder()
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))} if folder.is_dir() else {}


def own_folder() -> Path:
    """Where they lie."""
    return cache_folder() / "own"


def own_card(name: str) -> dict[str, Any] | None:
    """The card that a model was added with, or None where only the file tells one.

    Raises:
        ModelError: it cannot be read.
    """
    path = own_folder() / f"{name}.json"
    return read_fields(path) if path.is_file() else None


def check_name(name: str) -> None:
    """Say clearly when a model of one's own cannot be called so.

    Raises:
        UsageError: it has other characters, or would never be found under that name.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"a name has letters, digits, dots and dashes only, not {name!r}.")
    if name.lower().endswith(".onnx"):
        raise UsageError(f"{name} would be taken for a file; leave out the .onnx.")
    if name in PACKAGED:
        raise UsageError(f"{name} is the name of a model that ships with mien; choose another.")
    if entry(name) is not None:
        raise UsageError(f"{name} is the name of published weights; choose another.")


def check_free(name: str, overwrite: bool = False) -> None:
    """Say clearly when a model of one's own cannot be called so, or another is.

    Raises:
        UsageError: as for `check_name`; or there is a model of that name, and `overwrite` is false.
    """
    check_name(name)
    if not overwrite and name in own_models():
        raise UsageError(
            f"you have a model {name} already: choose another --name, replace it with --overwrite, "
            f"or run: mien models remove {name}"
        )


def add(file: Path, name: str, card: Mapping[str, Any], *, overwrite: bool = False) -> Path:
    """Keep an ``.onnx`` file of the user's under a name, with its card beside it.

    Args:
        file: the network.
        name: what it is called from now on.
        card: fields of a `mien.ModelCard`, which count before those that the file carries itself;
            empty: only those of the file.
        overwrite: replace a model that has this name.

    Raises:
        InputNotFoundError: there is no such file.
        UsageError: the name cannot be used, or is taken.
    """
    if not file.is_file():
        raise InputNotFoundError(f"there is no model file {file}.")
    check_free(name, overwrite)
    return write(file.read_bytes(), name, card)


def remove_own(name: str) -> None:
    """Delete a model of the user's, and its card.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in own_models():
        known = ", ".join(own_models()) or "none"
        raise UsageError(f"you have no model {name!r} of your own; there are: {known}.")
    for suffix in (".onnx", ".json"):
        (own_folder() / f"{name}{suffix}").unlink(missing_ok=True)


def write(network: bytes, name: str, card: Mapping[str, Any]) -> Path:
    """The same for the bytes of a network and a name that has been checked."""
    target = own_folder() / f"{name}.onnx"
    beside = target.with_name(f"{name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_bytes(network)
        if card:
            with replacing(beside) as text:
                text.write_text(json.dumps(dict(card)), encoding="utf-8")
        else:  # that of a model which had this name before
            beside.unlink(missing_ok=True)
    return target
