"""The first trial of a model file: opened and fed a blank input in a process of its own.

Native runtimes trust their files. A damaged or hostile one can crash the interpreter, never come
to an end or ask for all memory, and nothing in this process could stop that. A process with
limits can be lost instead; it takes about 0.15 s, once a file, and not for the models that ship
with mien.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from mien.errors import ModelError

#: A model file that is larger, in bytes, is refused unopened.
MAX_BYTES = 1 << 30
#: Side of the blank input, pixels, where neither the file nor its card says one.
_SIDE = 112
_SECONDS = 8  # of the processor
_PATIENCE_S = 30  # by the clock, on a machine that is busy otherwise
_SPARE = 768 << 20  # bytes of memory besides those that grow with the file
_COPIES = 4  # of the weights that lie in memory while a runtime rearranges them
_STARTED = "started"

_log = logging.getLogger(__name__)
_PASSED: set[tuple[str, int]] = set()


def try_model(path: Path, side: int | None = None) -> None:
    """Make sure that a model file can be opened and run without harm to this process.

    The image that it is fed has `side` pixels a side, where the file leaves that open.

    Raises:
        ModelError: it is too large, or no model; or it crashes, or exceeds the limits of time and
            memory.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    if state.st_size > MAX_BYTES:
        raise ModelError(
            f"{path} has {state.st_size:,} bytes; models of up to {MAX_BYTES:,} are opened."
        )
    if Path(__file__).resolve().parents[1] in path.resolve().parents:
        return  # it came with mien, and is trusted as its code is
    if getattr(sys, "frozen", False) or not sys.executable:
        return
    with path.open("rb") as file:
        key = (hashlib.file_digest(file, "sha256").hexdigest(), side or _SIDE)
    if key in _PASSED:
        return
    problem = _problem(path, state.st_size, side or _SIDE)
    if problem:
        raise ModelError(f"{path} is not a usable ONNX model: {problem}")
    _PASSED.add(key)


def _problem(path: Path, size: int, side: int) -> str:
    """What went wrong in the trial; "" where nothing did."""
    own = str(Path(__file__).resolve().parents[2])
    known = [own, *filter(None, [os.environ.get("PYTHONPATH")])]
    memory = _SPARE + _COPIES * size
    # -P: no module of the folder that the command happens to be run in.
    command = [sys.executable, "-P", "-m", __name__, str(path.resolve())]
    try:
        done = subprocess.run(
            [*command, str(side), str(memory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(known)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it does not answer for a blank image within {_SECONDS} s."
    except OSError as error:  # a system that starts no processes: there is nothing to try it in
        _log.debug("%s could not be tried: %s", path, error)
        return ""
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if _STARTED not in lines[:1]:
        _log.debug("%s could not be tried: exit status %s", path, done.returncode)
        return ""
    if done.returncode == 0 and len(lines) > 1:
        return str(json.loads(lines[-1]))
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        return f"it does not answer for a blank image within {_SECONDS} s."
    return "ONNX Runtime crashes on it; the file is damaged."


def main(path: str, side: str, memory: str) -> None:
    """What the process does: print what is wrong with the model as JSON, "" for nothing."""
    _limit(int(memory))
    print(_STARTED, flush=True)  # noqa: T201
    print(json.dumps(_run_onnx(path, int(side))), flush=True)  # noqa: T201
    os._exit(0)  # a runtime that was fed a hostile file need not take itself down


def _limit(memory: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    # Address space would count what libraries reserve and never touch.
    for kind, most in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, hard))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS + 1))


def _run_onnx(path: str, side: int) -> str:
    import numpy as np

    from mien.models.session import open_session

    try:
        session = open_session(Path(path), threads=1)
        feed = {
            node.name: np.zeros(_shape(node.shape, side), _dtype(node.type))
            for node in session.get_inputs()
        }
    except Exception as error:  # noqa: BLE001 - whatever a runtime raises is the answer
        return first_line(error)
    try:
        session.run(None, feed)
    except Exception as error:  # noqa: BLE001
        # A guessed shape may be wrong, which the model's own first run says better.
        text = first_line(error)
        return text if "alloc" in text.lower() or isinstance(error, MemoryError) else ""
    return ""


def _shape(shape: list[Any], side: int) -> list[int]:
    """One item, and images of `side`, where the file leaves it open."""
    first = [size if isinstance(size, int) else 1 for size in shape[:1]]
    return first + [size if isinstance(size, int) else side for size in shape[1:]]


def _dtype(kind: str) -> str:
    name = kind.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(name, name)


def first_line(error: Exception) -> str:
    """What a runtime says first; it may go on for pages."""
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    main(*sys.argv[1:])
