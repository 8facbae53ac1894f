"""What a command does to the network and to the disk, seen from outside by strace.

    trace = traced(["-m", "mien", "demo", "-o", "out"], folder)
    assert trace.network == [] and trace.outside(folder / "out") == []

strace sees what native code does, too, and every thread and child process.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_CALLS = (
    "trace=%network,open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,unlink,unlinkat,rmdir,truncate,mknod,mknodat,chmod,fchmodat"
)
_PATH = re.compile(r'(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, "((?:[^"\\]|\\.)*)"|"((?:[^"\\]|\\.)*)"')
_LOOKUPS = ("/etc/resolv.conf", "/etc/hosts", "io.systemd.Resolve")
_DEVICES = ("/dev/null", "/dev/tty", "/dev/shm", "/proc/self/", "/dev/pts")


@dataclass(frozen=True)
class Trace:
    """The calls of one command.

    Attributes:
        code: its exit code.
        stdout, stderr: its output.
        network: lines of strace: sockets other than those of this machine, and name look-ups.
        written: absolute paths of what was created, opened for writing, renamed or removed.
    """

    code: int
    stdout: str
    stderr: str
    network: list[str]
    written: set[Path]

    def outside(self, *allowed: Path) -> list[str]:
        """Paths that were written elsewhere."""
        return sorted(
            str(path)
            for path in self.written
            if not any(path == place or place in path.parents for place in allowed)
        )


@cache
def _strace() -> str | None:
    """Why strace cannot be used here, or None."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True)
    return None if done.returncode == 0 else "this machine does not let strace trace"


def traced(
    arguments: Sequence[str | Path], folder: Path, timeout_s: float = 300, **variables: str
) -> Trace:
    """Run this Python with `arguments` under strace.

    Home, cache and temporary files are `folder`/home, `folder`/home/.cache and `folder`/tmp;
    the working directory is `folder`. Skips the test where strace cannot run.
    """
    command, environment, log = _command(arguments, folder, variables)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return _read(log, folder, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def tracing(
    arguments: Sequence[str | Path], folder: Path, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """The same for a command that runs until the block ends it: ``trace_of`` reads what it did."""
    command, environment, _ = _command(arguments, folder, variables)
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as strace:
        try:
            yield strace
        finally:
            for child in Path(f"/proc/{strace.pid}/task").glob("*/children"):
                for pid in child.read_text().split():
                    os.kill(int(pid), signal.SIGTERM)
            strace.communicate(timeout=60)


def trace_of(strace: subprocess.Popen[str], folder: Path) -> Trace:
    """What a command of ``tracing`` did, once it has ended."""
    return _read(folder / "strace.log", folder, strace.returncode, "", "")


def _command(
    arguments: Sequence[str | Path], folder: Path, variables: Mapping[str, str]
) -> tuple[list[str], dict[str, str], Path]:
    """The command with strace before it, its environment, and where strace writes."""
    if (problem := _strace()) is not None:
        pytest.skip(problem)
    home, temporary, log = folder / "home", folder / "tmp", folder / "strace.log"
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    environment = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        **variables,
    }
    options = ["-f", "-qq", "-y", "-s", "4096", "--seccomp-bpf", "-e", _CALLS, "-o", str(log)]
    return ["strace", *options, sys.executable, *map(str, arguments)], environment, log


def _read(log: Path, folder: Path, code: int, stdout: str, stderr: str) -> Trace:
    lines = log.read_text(errors="replace").splitlines()
    log.unlink()
    return Trace(
        code,
        stdout,
        stderr,
        [line for line in lines if _is_network(line)],
        {path for line in lines for path in _written(line, folder)},
    )


def _is_network(line: str) -> bool:
    call = line.split(maxsplit=1)[-1]
    if call.startswith(("socket(", "socketpair(")):
        return not call.startswith(("socket(AF_UNIX", "socketpair(AF_UNIX"))
    return any(place in line for place in _LOOKUPS)


def _written(line: str, folder: Path) -> list[Path]:
    """The paths that a call changes; those of a failed call, too."""
    call, _, rest = line.split(maxsplit=1)[-1].partition("(")
    if call.startswith("open") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", rest):
        return []
    if not re.match("open|creat|mk|rename|link|symlink|unlink|rmdir|truncate|chmod|fchmodat", call):
        return []
    paths = []
    for directory, relative, alone in _PATH.findall(rest.rpartition(" = ")[0]):
        path = Path(directory or folder, relative or alone)
        if not str(path).startswith(_DEVICES):
            paths.append(path)
    return paths
