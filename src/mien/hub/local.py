"""Models that the user added under a name of their own, each with its card beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.errors import InputNotFoundError, UsageError
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


def add(file: Path, name: str, card: Mapping[str, Any]) -> Path:
    """Keep an ``.onnx`` file of the user's under a name, with its card beside it.

    Args:
        file: the network.
        name: what it is called from now on.
        card: fields of a `mien.ModelCard`, which count before those that the file carries itself;
            empty: only those of the file.

    Raises:
        InputNotFoundError: there is no such file.
        UsageError: the name cannot be used.
    """
    if not file.is_file():
        raise InputNotFoundError(f"there is no model file {file}.")
    check_name(name)
    return keep(file.read_bytes(), name, card)


def keep(network: bytes, name: str, card: Mapping[str, Any]) -> Path:
    """The same for the bytes of a network and a name that has been checked."""
    target = own_folder() / f"{name}.onnx"
    beside = target.with_name(f"{name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    partial.write_bytes(network)
    if card:
        beside.write_text(json.dumps(dict(card)), encoding="utf-8")
    else:  # that of a model which had this name before
        beside.unlink(missing_ok=True)
    partial.replace(target)
    return target
