"""ONNX Runtime, in one place: sessions, threads, providers, metadata."""

from __future__ import annotations

import hashlib
import importlib
import math
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from mien.errors import ModelError
from mien.models.trial import first_line, try_model

if TYPE_CHECKING:
    import onnxruntime as ort

_MAX_BATCH = 1024  # of a network whose batch is fixed: it is always fed that many


#: Without this variable, ONNX Runtime from 1.29 on keeps a device id and events in the home folder
#: and sends them to Microsoft: https://github.com/microsoft/onnxruntime/pull/27379. `mien` sets it.
QUIET = "ORT_DISABLE_TELEMETRY"


def runtime(module: str = "") -> Any:
    """ONNX Runtime, or one of its modules: the only import of it, so that it keeps quiet.

    Warns where another program imported it before mien could switch off its telemetry.
    """
    if not os.environ.get(QUIET) and "onnxruntime" in sys.modules:
        os.environ[QUIET] = "1"  # for child processes, and to warn once
        warnings.warn(
            "onnxruntime was imported before mien and may send usage data to Microsoft; import "
            f"mien first, or set the environment variable {QUIET}=1.",
            RuntimeWarning,
            stacklevel=2,
        )
    return importlib.import_module(f"onnxruntime.{module}".rstrip("."))


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as hex digits: by it tables and heads know the model that they are of."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_session(path: Path, threads: int | None = None) -> ort.InferenceSession:
    """The file, opened by ONNX Runtime, which trusts it: `mien.models.trial` comes before."""
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle workers that spin would take the core from the stage that runs meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in ort.get_available_providers()]
    return ort.InferenceSession(str(path), options, providers=providers)


#: Networks that are open in this process, by their file as it was then, and threads.
_OPEN: WeakValueDictionary[tuple[object, ...], ort.InferenceSession] = WeakValueDictionary()


def shared_session(path: Path, threads: int | None = None) -> ort.InferenceSession:
    """The file, opened once for all who use it: ONNX Runtime lets threads run it at once."""
    file = path.stat()
    key = (path.resolve(), file.st_mtime_ns, file.st_size, file.st_ino, threads, os.getpid())
    session = _OPEN.get(key)
    if session is None:
        session = _OPEN.setdefault(key, open_session(path, threads))
    return session


class Session:
    """A network on ONNX Runtime, opened on first use and reopened after unpickling.

    Args:
        path: the ``.onnx`` file.
        threads: how many threads one run may use; None for every processor there is.
        side: of the square images that it takes, pixels, where the file leaves that open.

    Raises:
        ModelError: there is no such file (at once), or it is not a network that can be used
            without harm (on first use, see `mien.models.trial`).
    """

    def __init__(
        self, path: str | Path, threads: int | None = None, side: int | None = None
    ) -> None:
        self.path = Path(path)
        self.threads = threads
        self._side = side
        self._session: ort.InferenceSession | None = None
        if not self.path.is_file():
            raise ModelError(f"there is no model file {self.path}.")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}

    @property
    def session(self) -> ort.InferenceSession:
        """The open ONNX Runtime session."""
        if self._session is None:
            try_model(self.path, self._side)
            try:
                session = shared_session(self.path, self.threads)
                inputs = session.get_inputs()
            except Exception as error:
                raise ModelError(
                    f"{self.path} is not a usable ONNX model: {first_line(error)}"
                ) from error
            if len(inputs) != 1:
                names = ", ".join(node.name for node in inputs) or "none"
                raise ModelError(f"{self.path} takes {len(inputs)} inputs, not one: {names}.")
            self._session = session
        return self._session

    @property
    def metadata(self) -> dict[str, str]:
        """The file's own key-value metadata."""
        try:
            return dict(self.session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError as error:
            raise ModelError(f"the metadata of {self.path} is not UTF-8 text.") from error

    @property
    def input_name(self) -> str:
        """Name of the first input."""
        return str(self.session.get_inputs()[0].name)

    @property
    def input_shape(self) -> tuple[int | str | None, ...]:
        """Shape of the first input; names or None where it may vary."""
        return tuple(self.session.get_inputs()[0].shape)

    @property
    def input_type(self) -> str:
        """Type of the first input, as ONNX Runtime calls it: ``tensor(float)``."""
        return str(self.session.get_inputs()[0].type)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.name for output in self.session.get_outputs())

    def check(self, item: Sequence[int], outputs: Mapping[str, int]) -> None:
        """Make sure that the network takes and gives what its card says, as far as its file tells.

        Args:
            item: shape of one item of the input, without the batch.
            outputs: how many numbers an item each of these outputs gives.

        Raises:
            ModelError: the input has another shape or type, or an output is missing or of another
                size.
        """
        shape = self.input_shape
        if self.input_type != "tensor(float)":
            raise ModelError(f"{self.path} takes {self.input_type}, not 32-bit floats.")
        if len(shape) != len(item) + 1 or any(
            isinstance(have, int) and have != want
            for have, want in zip(shape[1:], item, strict=False)
        ):
            raise ModelError(
                f"{self.path} takes {_shown(shape)}, but its card says {_shown(('n', *item))}."
            )
        if isinstance(shape[0], int) and not 1 <= shape[0] <= _MAX_BATCH:
            raise ModelError(f"{self.path} takes {shape[0]} items at once, at most {_MAX_BATCH}.")
        for name, wanted in outputs.items():
            given = self.numbers(name)
            if given not in (None, wanted):
                raise ModelError(
                    f"{self.path} gives {given} numbers as {name!r}, but its card says {wanted}."
                )

    def numbers(self, output: str) -> int | None:
        """How many numbers an item an output gives; None where the file leaves that open.

        Raises:
            ModelError: there is no such output.
        """
        if output not in self.output_names:
            raise ModelError(
                f"{self.path} has no output {output!r}; it has {', '.join(self.output_names)}."
            )
        place = self.output_names.index(output)
        sizes = self.session.get_outputs()[place].shape[1:]
        return math.prod(sizes) if all(isinstance(size, int) for size in sizes) else None

    def run(self, outputs: list[str], values: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        """Feed `values` to the first input and return the named outputs."""
        try:
            return list(self.session.run(outputs, {self.input_name: values}))
        except Exception as error:
            raise ModelError(
                f"{self.path} failed on input {values.shape}: {first_line(error)}"
            ) from error


def _shown(shape: Sequence[int | str | None]) -> str:
    return f"({', '.join('n' if size is None else str(size) for size in shape)})"
