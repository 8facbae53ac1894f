"""Models that the user registered under a name, each with its card beside it."""

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
    """The user's own models, by name."""
    folder = own_folder()
    return {path.stem: path for path in sorted(folder.glob("*.onnx"))} if folder.is_dir() else {}


def own_folder() -> Path:
    """The folder of the user's own models."""
    return cache_folder() / "own"


def own_card(name: str) -> dict[str, Any] | None:
    """The card with which a model was registered; None if the file's own card applies.

    Raises:
        ModelError: it cannot be read.
    """
    path = own_folder() / f"{name}.json"
    return read_fields(path) if path.is_file() else None


def check_name(name: str) -> None:
    """Check that a name can be used for a user's own model.

    Raises:
        UsageError: it has invalid characters, or is reserved.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid name: use letters, digits, dots and dashes.")
    if name.lower().endswith(".onnx"):
        raise UsageError(f"{name} would be taken for a file: omit the .onnx.")
    if name in PACKAGED:
        raise UsageError(f"{name} is the name of a model that ships with mien; choose another.")
    if entry(name) is not None:
        raise UsageError(f"{name} is the name of a published model; choose another.")


def check_free(name: str, overwrite: bool = False) -> None:
    """Check that a name can be used and is free.

    Raises:
        UsageError: as `check_name`; or there is a model of that name, and `overwrite` is false.
    """
    check_name(name)
    if not overwrite and name in own_models():
        raise UsageError(
            f"you have a model {name} already: choose another --name, replace it with --overwrite, "
            f"or run: mien models remove {name}"
        )


def add(file: Path, name: str, card: Mapping[str, Any], *, overwrite: bool = False) -> Path:
    """Register an ``.onnx`` file under a name, with its card beside it.

    Args:
        file: the network.
        name: its name from now on.
        card: fields of a `mien.ModelCard`, which override those in the file; empty to use only
            those in the file.
        overwrite: replace a model of this name.

    Raises:
        InputNotFoundError: there is no such file.
        UsageError: the name is invalid or taken.
    """
    if not file.is_file():
        raise InputNotFoundError(f"there is no model file {file}.")
    check_free(name, overwrite)
    return write(file.read_bytes(), name, card)


def remove_own(name: str) -> None:
    """Delete one of the user's own models and its card.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in own_models():
        names = ", ".join(own_models()) or "none"
        raise UsageError(f"you have no model {name!r} of your own; available: {names}.")
    for suffix in (".onnx", ".json"):
        (own_folder() / f"{name}{suffix}").unlink(missing_ok=True)


def write(network: bytes, name: str, card: Mapping[str, Any]) -> Path:
    """Store the bytes of a network under a valid name, with its card beside it."""
    target = own_folder() / f"{name}.onnx"
    beside = target.with_name(f"{name}.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        temporary.write_bytes(network)
        if card:
            with replacing(beside) as text:
                text.write_text(json.dumps(dict(card)), encoding="utf-8")
        else:  # the card of a replaced model
            beside.unlink(missing_ok=True)
    return target
