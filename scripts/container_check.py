"""Builds and runs what the Dockerfile describes where there is no container engine.

    sudo python scripts/container_check.py

The instructions are read from the Dockerfile itself, so that this cannot drift away from it. Every
stage is a folder of its own that sees this machine's system files read-only (instead of the base
image: this machine's Python), entered by chroot in namespaces of mounts, processes and, once it
runs, network. What is built runs as the image's user without privileges, on a read-only root and
without a network; it has to become healthy, to analyze an image and a video, and to write nothing
outside its data folder. Needs Linux and root.
"""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import json
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "dev")
_PASSED = re.compile(r"(?i)(PIP_|SSL_|REQUESTS_|\w+_proxy$)")  # the way to the package index
_TOKEN = "of the container check"
_WAIT_S, _PORT = 60.0, 8000


@dataclass
class Stage:
    """One ``FROM`` of a Dockerfile.

    Attributes:
        base: the image it begins with.
        name: after ``AS``; may be empty.
        steps: instructions that change files, in order: COPY, RUN and WORKDIR.
        run: what holds when it runs: ENV, USER, VOLUME, ENTRYPOINT, CMD, HEALTHCHECK, EXPOSE.
    """

    base: str
    name: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)
    run: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """``ENV``, with ``$PATH`` replaced."""
        words = shlex.split(self.run.get("ENV", ""))
        pairs = dict(word.partition("=")[::2] for word in words)
        return {name: value.replace("$PATH", _path()) for name, value in pairs.items()}

    @property
    def healthcheck(self) -> list[str]:
        """The command of ``HEALTHCHECK``."""
        return list(map(str, json.loads(self.run["HEALTHCHECK"].partition("CMD ")[2])))


def stages(dockerfile: str) -> list[Stage]:
    """The stages of a Dockerfile; raises `ValueError` for what this script does not do."""
    text = re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        elif word in ("COPY", "RUN", "WORKDIR"):
            found[-1].steps.append((word, rest))
        elif word in ("ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"):
            found[-1].run[word] = rest
        else:
            raise ValueError(f"{word} is not understood: add it to scripts/container_check.py.")
    return found


def _path() -> str:
    return f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def _bind(source: str | Path, target: Path) -> None:
    """Show a folder of this machine in a root, read-only."""
    target.mkdir(parents=True, exist_ok=True)
    _mount("--bind", source, target)
    _mount("-o", "remount,bind,ro", target)


def _base(place: Path) -> None:
    """A root with this machine's system files, read-only, and an /etc of its own."""
    for name in _SYSTEM:
        source, target = Path("/", name), place / name
        if source.is_symlink():
            target.symlink_to(os.readlink(source))
        elif source.is_dir():
            _bind(source, target)
    if not sys.base_prefix.startswith("/usr"):
        _bind(sys.base_prefix, place / sys.base_prefix.lstrip("/"))
    (place / "proc").mkdir()
    _mount("-t", "proc", "proc", place / "proc")
    shutil.copytree("/etc", place / "etc", symlinks=True)
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)


def _build(stage: Stage, place: Path, built: Mapping[str, Path]) -> None:
    """Do the steps of a stage."""
    print(f"stage {stage.name or 'last'}: this machine's Python instead of {stage.base}")
    _base(place)
    folder = "/"
    variables = {n: v for n, v in os.environ.items() if _PASSED.match(n)} | {
        "PATH": _path(),
        "PIP_QUIET": "1",
    }
    for word, rest in stage.steps:
        print(f"  {word} {rest[:90]}", flush=True)
        if word == "WORKDIR":
            folder = rest
            (place / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "RUN":
            command = ["chroot", str(place), "/bin/sh", "-ec", f"cd {folder}; {rest}"]
            subprocess.run(command, env=variables, check=True)
        else:
            *sources, last = [part for part in rest.split() if not part.startswith("--")]
            origin = re.search(r"--from=(\S+)", rest)
            start = built[origin[1]] if origin else ROOT
            target = place / os.path.join(folder, last).lstrip("/")
            for source in sources:
                _copy(start / source.lstrip("/"), target)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _files(place: Path, volume: str) -> set[str]:
    """Everything that a root has of its own, with the times of changes; not volume and /tmp."""
    apart = [w for p in (volume, "/tmp") for w in ("-path", f"{place}{p}", "-prune", "-o")]
    command = ["find", str(place), "-xdev", *apart, "-printf", "%P %T@\\n"]
    return set(subprocess.run(command, capture_output=True, text=True).stdout.splitlines())


@contextmanager
def _running(stage: Stage, place: Path, user: str) -> Iterator[list[str]]:
    """Run the image's command; gives the prefix of further commands in the same container."""
    uid, gid = user.split(":")
    volume = place / stage.run["VOLUME"].strip().lstrip("/")
    kept = place.with_name("volume")
    shutil.copytree(volume, kept)
    os.chown(kept, volume.stat().st_uid, volume.stat().st_gid)
    _mount("--rbind", place, place)
    _mount("-o", "remount,bind,ro", place)
    _mount("-t", "tmpfs", "tmpfs", place / "tmp")
    _mount("--bind", kept, volume)
    bare = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"]
    inside = ["chroot", str(place), *bare, "--bounding-set=-all", "--inh-caps=-all"]
    command = [*json.loads(stage.run["ENTRYPOINT"]), *json.loads(stage.run["CMD"])]
    process = subprocess.Popen([*inside, *command], env={"MIEN_TOKEN": _TOKEN, **stage.variables})
    try:
        yield inside
        assert process.poll() is None, "the service has ended"
    finally:
        process.terminate()
        process.wait(30)
    owners = {path.stat().st_uid for path in kept.rglob("*")}
    assert owners == {int(uid)}, f"files in /data belong to {owners}"


def _healthy(stage: Stage, inside: Sequence[str]) -> float:
    """Wait for the image's own health check to pass; returns the seconds."""
    started = time.monotonic()
    while time.monotonic() - started < _WAIT_S:
        command = [*inside, *stage.healthcheck]
        if subprocess.run(command, env=stage.variables, stderr=subprocess.DEVNULL).returncode == 0:
            return time.monotonic() - started
        time.sleep(0.3)
    raise AssertionError("the health check did not pass")


def _ask(method: str, path: str, body: bytes = b"", token: str = _TOKEN) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=60)
    connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _use(video: Path) -> None:
    """Ask for what a service is for."""
    assert _ask("GET", "/v1/models", token="wrong")[0] == 401
    photo = (ROOT / "src/mien/assets/astronaut.jpg").read_bytes()
    status, body = _ask("POST", "/v1/images", photo)
    (face,) = json.loads(body)["results"][0]["faces"]
    print(f"  image: {status}, {face['emotion']} {face['probability']:.2f}")
    status, body = _ask("POST", "/v1/videos?annotate=true", video.read_bytes())
    job = json.loads(body)
    while job["state"] not in ("done", "failed"):
        time.sleep(0.3)
        job = json.loads(_ask("GET", f"/v1/jobs/{job['id']}")[1])
    assert job["state"] == "done", job
    assert _ask("GET", f"/v1/jobs/{job['id']}/annotated")[0] == 200
    print(f"  video job: {job['state']}, {job['frames']} frames")


def _loopback() -> None:
    """Switch the only interface of this network namespace on."""
    with socket.socket() as plain:
        fcntl.ioctl(plain, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, up


def _clip(path: Path) -> Path:
    """A video of one face."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width = stream.height = 512
        for _ in range(10):
            image = av.open(str(ROOT / "src/mien/assets/astronaut.jpg"))
            frame = next(image.decode(video=0)).reformat(512, 512, "yuv420p")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def main() -> None:
    """Enter namespaces of its own; the folder there is in memory, and ends with them."""
    if "--inside" in sys.argv:
        return check(Path(sys.argv[-1]))
    folder = tempfile.mkdtemp(prefix="mien-image-")
    spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    script = [sys.executable, str(Path(__file__).resolve()), "--inside", folder]
    code = subprocess.run([*spaces, *script]).returncode
    os.rmdir(folder)  # empty: what was mounted there was visible only inside
    sys.exit(code)


def check(folder: Path) -> None:
    """Build, run, ask, and look at what was written."""
    _mount("-t", "tmpfs", "tmpfs", folder)
    built: dict[str, Path] = {}
    for number, stage in enumerate(stages((ROOT / "Dockerfile").read_text("utf-8"))):
        place = built[stage.name or "last"] = folder / str(number)
        place.mkdir()
        _build(stage, place, built)
    names = [line.split(":") for line in (place / "etc/passwd").read_text().splitlines()]
    (user,) = (f"{n[2]}:{n[3]}" for n in names if n[0] == stage.run["USER"])
    assert not user.startswith("0:"), "the image runs as root"
    video = _clip(folder / "clip.mp4")
    _unshare_network()
    _loopback()
    volume = stage.run["VOLUME"].strip()
    before = _files(place, volume)
    with _running(stage, place, user) as inside:
        print(f"healthy after {_healthy(stage, inside):.1f} s, as user {user}, without network")
        _use(video)
    changed = _files(place, volume) ^ before
    assert not changed, f"written outside /data: {sorted(changed)[:5]}"
    left = [path.name for path in (place / "tmp").iterdir()]
    assert not left, f"left in /tmp: {left[:5]}"
    print(f"nothing was written outside {volume}")


def _unshare_network() -> None:
    """Leave the network (`os.unshare` is there from Python 3.12 on)."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "no network namespace")


if __name__ == "__main__":
    main()
