"""Calls to other servers at the end of a job, signed by Standard Webhooks (standardwebhooks.com).

They say which job has ended and how, nothing else. Which servers may be called is the operator's
choice: clients could otherwise reach what only this machine can. As for jobs, files are the truth:
what has not been delivered is called again after a restart.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import random
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event, Thread
from urllib.parse import SplitResult, urlsplit

from standardwebhooks import Webhook

from mien.errors import UsageError
from mien.files import claim, replacing
from mien.service.jobs import WEBHOOK, Job, JobStore, secret
from mien.service.problems import ProblemError

_log = logging.getLogger("mien.service")
_SECRET, _LOCK = "webhook.secret", "webhooks.lock"
_LOOK_S, _TIMEOUT_S = 0.5, 10.0
_AT_ONCE = 8
#: Between two attempts, as the standard suggests; the last one again and again.
DELAYS_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0)
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GONE = 410  # by which a receiver says that it wants no more calls


class Webhooks:
    """Tells clients' servers that their jobs have ended, in a thread of its own.

    Args:
        store: whose jobs they are.
        data: the data folder, for the secret by which receivers know that a call is genuine.
        hosts: servers that may be called, as ``HOST`` or ``HOST:PORT``. A name that leads to an
            internal address is called only if that address is among them, too.

    Raises:
        UsageError: a host cannot be understood.
    """

    def __init__(self, store: JobStore, data: Path, hosts: Sequence[str]) -> None:
        self._store, self._lock = store, data / _LOCK
        self._hosts = frozenset(map(_host, hosts))
        self._busy: set[str] = set()
        if hosts:
            text = secret(data / _SECRET, lambda noise: b"whsec_" + b64encode(noise) + b"\n")
            self._signature = Webhook(text.decode().strip())

    def check(self, url: str) -> None:
        """Make sure that an address may be called.

        Raises:
            ProblemError: it may not.
        """
        if not self._hosts:
            raise ProblemError(400, "webhook: this service calls none; see --webhook-host.")
        if _allowed(url, self._hosts) is None:
            raise ProblemError(400, "webhook: its host is not among those of --webhook-host.")

    def run(self, stopped: Event) -> None:
        """Call whatever is due until told to stop; of several services, one does so."""
        while self._hosts and not stopped.wait(_LOOK_S):
            with suppress(UsageError, OSError), claim(self._lock, _LOCK):
                self._run(stopped)

    def _run(self, stopped: Event) -> None:
        while not stopped.wait(_LOOK_S):
            try:
                for job in self._due():
                    self._busy.add(job.id)
                    Thread(target=self._deliver, args=(job,), daemon=True).start()
            except Exception as error:  # noqa: BLE001 - a full disk passes
                _log.warning("webhooks cannot be called now: %s", error)

    def _due(self) -> Iterator[Job]:
        """Jobs of which somebody must be told now."""
        for job in self._store.jobs():
            if len(self._busy) >= _AT_ONCE:
                return
            if job.webhook and job.ended_s is not None and job.id not in self._busy:
                _, next_s = self._attempts(job.id)
                if next_s is not None and next_s <= time.time():
                    yield job

    def _attempts(self, job_id: str) -> tuple[int, float | None]:
        """How often a webhook was called, and when it is due; None for never again."""
        try:
            note = json.loads((self._store.folder(job_id) / WEBHOOK).read_text("utf-8"))
        except FileNotFoundError:
            return 0, 0.0
        return int(note["attempts"]), note["next_s"]

    def _deliver(self, job: Job) -> None:
        """Call once, and note when to do so again if that failed."""
        try:
            count, _ = self._attempts(job.id)
            status = self._call(job)
            next_s = None
            if not (200 <= status < 300 or status == _GONE):
                delay_s = DELAYS_S[min(count, len(DELAYS_S) - 1)]
                next_s = time.time() + delay_s * random.uniform(1, 1.2)
                _log.warning("the webhook of job %s failed (%d)", job.id, status)
            note = {"attempts": count + 1, "next_s": next_s}
            with replacing(self._store.folder(job.id) / WEBHOOK) as temporary:
                temporary.write_text(json.dumps(note), "utf-8")
        except FileNotFoundError:  # the job has been deleted
            pass
        finally:
            self._busy.discard(job.id)

    def _call(self, job: Job) -> int:
        """The status that the receiver answers; 0 where it is out of reach."""
        now, ended = datetime.now(UTC), datetime.fromtimestamp(job.ended_s or 0, UTC)
        event = {
            "type": f"job.{job.state}",
            "timestamp": ended.isoformat(),
            "data": {"id": job.id, "state": job.state},
        }
        name, body = f"{job.id}-{job.state}", json.dumps(event)
        url = _allowed(job.webhook, self._hosts)
        if url is None:  # the operator has taken it off the list since
            return _GONE
        headers = {
            "Content-Type": "application/json",
            "Host": url.netloc,
            "User-Agent": "mien",
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signature.sign(name, now, body),
        }
        try:
            with self._connected(url) as connected:
                connection = HTTPConnection(str(url.hostname), timeout=_TIMEOUT_S)
                connection.sock = connected
                target = (url.path or "/") + (f"?{url.query}" if url.query else "")
                connection.request("POST", target, body.encode(), headers)
                return connection.getresponse().status
        except (OSError, HTTPException, ValueError):
            return 0

    def _connected(self, url: SplitResult) -> socket.socket:
        """A connection to an address that was checked itself, not only by its name.

        Raises:
            OSError: there is none that may be called, or it is out of reach.
        """
        host, port = str(url.hostname), url.port or _PORTS[url.scheme]
        named = {name for name, _ in self._hosts}
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(item[4][0]) for item in found]
        address = next((a for a in addresses if is_public(a) or _is_named(a, host, named)), None)
        if address is None:
            raise OSError(f"{host} is an internal address.")
        plain = socket.create_connection((address, port), _TIMEOUT_S)
        if url.scheme == "http":
            return plain
        try:
            return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet, not to this machine or its network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):  # which may stand for one of version 4
        last = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = found.ipv4_mapped or found.sixtofour or (last if found in _NAT64 else found)
    return found.is_global and not found.is_multicast


def _is_named(address: str, host: str, named: set[str]) -> bool:
    """Whether the operator named an internal address, or this machine as ``localhost``."""
    local = host == "localhost" and ipaddress.ip_address(address).is_loopback
    return address in named or local


def _host(text: str) -> tuple[str, int | None]:
    """Name and port of a server that may be called."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.netloc == text and parts.hostname and parts.username is None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise UsageError(f"{text} is no host: name one like hooks.lab.org or 127.0.0.1:9000.")


def _allowed(url: str, hosts: frozenset[tuple[str, int | None]]) -> SplitResult | None:
    """The parts of an address whose host is among some; without a port, the usual ones are."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or parts.username is not None or not _is_plain(url):
        return None
    given = None if port == _PORTS[parts.scheme] else port
    ports = {given, port}
    return parts if any((parts.hostname, p) in hosts for p in ports) else None


def _is_plain(url: str) -> bool:
    """Whether it has neither spaces nor control characters, which could end a header."""
    return url.isascii() and url.isprintable() and " " not in url
