"""Jobs as folders: the video, how far its analysis is, and its results.

The files are the truth: a queue may lose a message or deliver it twice. A job is worked on only
under a lock on its folder, which the system releases with the process that holds it, however that
ends; so no job is done twice, and one that is neither finished nor locked is simply to be done.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from mien.errors import InputError, UsageError
from mien.files import claim, is_locked, replacing

_ID = re.compile(r"[0-9a-f]{32}")
_STATE, _LOCK, _CANCEL = "job.json", "lock", "cancel"
#: Files of `mien.service.uploads` and `mien.service.webhooks` in the folder of a job.
UPLOAD, WEBHOOK = "upload.json", "webhook.json"
UNFINISHED_S = 24 * 3600.0  # without a further part, after which an upload is deleted
_BROKEN_OFF_S = 60.0  # the same for the body of one request, which cannot go on


class State(StrEnum):
    """What has become of a job."""

    queued = "queued"
    running = "running"
    done = "done"
    failed = "failed"
    canceled = "canceled"


ENDED = frozenset({State.done, State.failed, State.canceled})


@dataclass(frozen=True)
class Job:
    """One video to analyze.

    Attributes:
        id: 32 hexadecimal digits.
        source: name of the video in the tables.
        video: its path, of the upload or below the folder of videos.
        options: as `mien.service.options.FrameOptions` takes them.
        state: see `State`.
        attempt: how often the analysis was begun.
        frames: results so far, in this attempt.
        share: of the video that is analyzed, 0 to 1; None where its length is unknown.
        seconds_left: estimated; None where that is unknown.
        error: one sentence where it failed.
        created_s, started_s, ended_s: Unix times; None while that has not happened.
        webhook: address to be called at the end; empty for none.
    """

    id: str
    source: str
    video: str
    options: dict[str, Any] = field(default_factory=dict)
    state: State = State.queued
    attempt: int = 0
    frames: int = 0
    share: float | None = None
    seconds_left: float | None = None
    error: str | None = None
    created_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    webhook: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    def public(self) -> dict[str, Any]:
        """What clients see: everything but where the video lies, and who is called."""
        hidden = ("video", "webhook")
        return {name: value for name, value in asdict(self).items() if name not in hidden}


class JobStore:
    """The folders of all jobs, below the data folder of a service.

    Args:
        data: the data folder; made if need be, for its owner alone.
    """

    def __init__(self, data: Path) -> None:
        self._root = data / "jobs"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root.mkdir(mode=0o700, exist_ok=True)
        self._secret = secret(data / "secret")

    def id_for(self, key: str | None) -> str:
        """The id of a new job: that of its ``Idempotency-Key``, which nobody can guess."""
        if key is None:
            return secrets.token_hex(16)
        return sha256(self._secret + key.encode()).hexdigest()[:32]

    def folder(self, job_id: str) -> Path:
        """The folder of a job; raises `InputError` for what is no id."""
        if not _ID.fullmatch(job_id):
            raise InputError(f"{job_id[:80]!r} is no id of a job: use one from POST /v1/videos.")
        return self._root / job_id

    def ids(self) -> list[str]:
        """All folders, also of uploads that have not ended."""
        return [path.name for path in self._root.iterdir() if _ID.fullmatch(path.name)]

    def find(self, job_id: str) -> Job | None:
        """A job, or None; a canceled one is so at once, also while a worker still has it."""
        try:
            data = json.loads((self.folder(job_id) / _STATE).read_text("utf-8"))
        except FileNotFoundError:
            return None
        state = State.canceled if self.is_canceled(job_id) else State(data["state"])
        return Job(**{**data, "state": state})

    def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        found = [job for job in map(self.find, self.ids()) if job is not None]
        return sorted(found, key=lambda job: -job.created_s)

    def save(self, job: Job) -> Job:
        """Write a job whole or not at all; only for whoever has it by `claimed`."""
        with replacing(self.folder(job.id) / _STATE) as temporary:
            temporary.write_text(json.dumps(asdict(job)), "utf-8")
        return job

    @contextmanager
    def claimed(self, job_id: str) -> Iterator[Path | None]:
        """The folder of a job for one process alone; None while another has it, or without one."""
        folder = self.folder(job_id)
        try:
            lock = claim(folder / _LOCK, job_id)
        except (UsageError, FileNotFoundError):
            yield None
            return
        with lock:
            yield folder

    def is_claimed(self, job_id: str) -> bool:
        """Whether a process works on it, or uploads it, now."""
        return is_locked(self.folder(job_id) / _LOCK)

    def cancel(self, job: Job) -> Job:
        """Stop a job, or forget one that has ended; its files are deleted.

        A worker that has it stops within a second, and deletes them then.
        """
        (self.folder(job.id) / _CANCEL).touch()
        with self.claimed(job.id) as folder:
            if folder is not None:
                return self.clear(job)
        return replace(job, state=State.canceled)

    def is_canceled(self, job_id: str) -> bool:
        """Whether somebody asked to stop it."""
        return (self.folder(job_id) / _CANCEL).exists()

    def clear(self, job: Job) -> Job:
        """Delete all but the state of a canceled job; only under its lock."""
        job = replace(job, state=State.canceled, ended_s=job.ended_s or time.time())
        self.save(job)
        for path in self._files(job.id):
            path.unlink(missing_ok=True)
        return job

    def _files(self, job_id: str) -> list[Path]:
        """The video and results of a job."""
        kept = (_STATE, _LOCK, _CANCEL, WEBHOOK)
        return [path for path in self.folder(job_id).iterdir() if path.name not in kept]

    def unfinished(self) -> list[Job]:
        """Jobs that nobody works on although they have not ended, the oldest first."""
        jobs = [job for job in self.jobs() if not job.ended and not self.is_claimed(job.id)]
        return jobs[::-1]

    def waiting(self) -> int:
        """How many jobs and uploads are unfinished."""
        jobs = {job.id: job for job in self.jobs()}
        uploads = [i for i in self.ids() if i not in jobs and (self._root / i / UPLOAD).exists()]
        return len(uploads) + sum(not job.ended for job in jobs.values())

    def remove(self, job_id: str) -> bool:
        """Delete a folder that is no job yet; False where somebody is writing to it."""
        with self.claimed(job_id) as folder:
            if folder is not None:
                shutil.rmtree(folder)
            return folder is not None

    def expire(self, hours: float) -> None:
        """Delete jobs that ended so long ago, uploads that broke off, and canceled jobs' files."""
        for job_id in self.ids():
            with suppress(OSError):
                left = self.is_canceled(job_id) and self._files(job_id)
                if not (left or self._is_over(job_id, hours)):
                    continue
                with self.claimed(job_id) as folder:
                    job = None if folder is None else self.find(job_id)
                    if folder is not None and self._is_over(job_id, hours):
                        shutil.rmtree(folder)
                    elif left and job is not None:
                        self.clear(job)

    def _is_over(self, job_id: str, hours: float) -> bool:
        """Whether there is something to delete of a job."""
        job, now = self.find(job_id), time.time()
        if job is None:
            return self._is_left(self.folder(job_id), now)
        return job.ended and (job.ended_s or now) < now - 3600 * hours

    def _is_left(self, folder: Path, now: float) -> bool:
        """Whether an upload will not go on."""
        if (folder / UPLOAD).exists():
            parts = (folder / UPLOAD, folder / "video")  # but not the lock: a look touches that
            touched = [path.stat().st_mtime for path in parts if path.exists()]
            return max(touched) < now - UNFINISHED_S
        return folder.stat().st_mtime < now - _BROKEN_OFF_S


def secret(path: Path, written: Callable[[bytes], bytes] = bytes) -> bytes:
    """Random bytes of a data folder, made once; as they are, or in another form of writing."""
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(written(secrets.token_bytes(32)))
        try:
            with suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            temporary.unlink()
    return path.read_bytes()
