"""ONNX Runtime, in one place: sessions, threads, providers, metadata."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import ModelError

if TYPE_CHECKING:
    import onnxruntime as ort


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
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Session:
    """A network on ONNX Runtime, opened on first use and reopened after unpickling.

    Args:
        path: the ``.onnx`` file.
        threads: how many threads one run may use; None for every processor there is.

    Raises:
        ModelError: there is no such file (at once), or it is not a network (on first use).
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self.path = Path(path)
        self.threads = threads
        self._session: ort.InferenceSession | None = None
        if not self.path.is_file():
            raise ModelError(f"there is no model file {self.path}.")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}

    @property
    def session(self) -> ort.InferenceSession:
        """The open ONNX Runtime session."""
        if self._session is None:
            ort = runtime()
            options = ort.SessionOptions()
            options.intra_op_num_threads = self.threads or cores()
            options.inter_op_num_threads = 1
            options.log_severity_level = 3
            # Idle workers that spin would take the core from the stage that runs meanwhile.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            try:
                self._session = ort.InferenceSession(
                    str(self.path), options, providers=_providers(ort)
                )
            except Exception as error:
                reason = str(error).splitlines()[0]
                raise ModelError(f"{self.path} is not a usable ONNX model: {reason}") from error
        return self._session

    @property
    def metadata(self) -> dict[str, str]:
        """The file's own key-value metadata."""
        return dict(self.session.get_modelmeta().custom_metadata_map)

    @property
    def input_name(self) -> str:
        """Name of the first input."""
        return str(self.session.get_inputs()[0].name)

    @property
    def input_shape(self) -> tuple[int | str | None, ...]:
        """Shape of the first input; names or None where it may vary."""
        return tuple(self.session.get_inputs()[0].shape)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.name for output in self.session.get_outputs())

    def run(self, outputs: list[str], values: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        """Feed `values` to the first input and return the named outputs."""
        try:
            return list(self.session.run(outputs, {self.input_name: values}))
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{self.path} failed on input {values.shape}: {reason}") from error


def _providers(ort: Any) -> list[str]:
    """CUDA where ONNX Runtime has it, and always the processor."""
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [name for name in wanted if name in ort.get_available_providers()]
