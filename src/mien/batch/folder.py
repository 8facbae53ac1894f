"""The folder of a batch, on this machine or in an object store: every file whole, or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from mien import stores
from mien.errors import InputError, InputNotFoundError, UsageError
from mien.files import publish, writing

_FIRST = "manifest.parquet"  # all that a run leaves that is stopped while it begins a batch


class BatchFolder:
    """Reads and writes the files of a batch; several processes may write the same one at once.

    Args:
        root: a folder, or the address of one in a store, see `mien.stores`.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        text = os.fspath(root)
        self.stored: bool = stores.is_stored(text)
        self.root: str = text.rstrip("/") if self.stored else os.path.abspath(text)

    def __str__(self) -> str:
        return self.root

    def path(self, name: str) -> str:
        """Where a file of this name is."""
        return f"{self.root}/{name}" if self.stored else os.path.join(self.root, *name.split("/"))

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none.

        Raises:
            InputError: it cannot be read.
        """
        try:
            if self.stored:
                return stores.read(self.path(name))
            return Path(self.path(name)).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"{self.path(name)} cannot be read: {error.strerror}.") from error

    def write(self, name: str, data: bytes | Path) -> None:
        """Write a file in one step; one of this name is replaced. A file that is given may move.

        Raises:
            UsageError: it cannot be written.
        """
        target = Path(self.path(name))
        if self.stored:
            try:
                stores.write(self.path(name), data)
            except InputError as error:
                raise UsageError(f"the results cannot be written: {error}") from error
            return
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            # A name of its own, since another task may be writing the same file.
            temporary = target.with_name(f".{target.name}.{uuid4().hex[:12]}")
            try:
                if isinstance(data, bytes):
                    temporary.write_bytes(data)
                else:
                    _copy(data, temporary)
                publish(temporary, target)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise

    def names(self, folder: str) -> Iterator[str]:
        """The files of a folder by their names in it, in order; unfinished ones are left out."""
        if self.stored:
            with suppress(InputNotFoundError):
                top = self.path(folder)
                for file in stores.listed(f"{top}/"):
                    yield file.address.removeprefix(f"{top}/")
            return
        with suppress(FileNotFoundError):
            yield from sorted(n for n in os.listdir(self.path(folder)) if not n.startswith("."))

    def check_free(self) -> None:
        """Make sure that a new batch can begin here.

        Raises:
            UsageError: it is a file, or a folder with other files in it.
        """
        if self.stored:
            top = f"{self.root}/"
            others = any(f.address != self.path(_FIRST) for f in stores.listed(top))
        else:
            if os.path.lexists(self.root) and not os.path.isdir(self.root):
                raise UsageError(f"{self.root} is a file: give a folder for the results.")
            with writing(self.root):
                os.makedirs(self.root, exist_ok=True)
                others = any(self._unknown())
        if others:
            raise UsageError(
                f"{self.root} has files that are not of a batch: choose an empty or a new folder."
            )

    def _unknown(self) -> Iterator[str]:
        return (n for n in os.listdir(self.root) if not n.startswith(".") and n != _FIRST)

    @contextmanager
    def local(self, name: str) -> Iterator[Path | None]:
        """A file on this machine with the content of one of the batch; None where there is none."""
        if not self.stored:
            path = Path(self.path(name))
            yield path if path.is_file() else None
            return
        with tempfile.TemporaryDirectory(prefix="mien-") as folder:
            copy: Path | None = Path(folder) / Path(name).name
            try:
                assert copy is not None
                stores.fetch(self.path(name), copy)
            except InputNotFoundError:
                copy = None
            yield copy


def _copy(source: Path, target: Path) -> None:
    """Move a file, across file systems, too."""
    try:
        os.replace(source, target)
    except OSError:
        import shutil

        shutil.copyfile(source, target)
