"""Object stores: files in a bucket, listed, read and written by their addresses.

``s3://bucket/key`` (Amazon S3 and whatever speaks its protocol), ``gs://bucket/key`` (Google) and
``az://container/key`` (Azure) through obstore, ``hf://datasets/user/name/file`` (Hugging Face, to
read only) through huggingface_hub; both are imported on first use. Credentials come from where the
tools of each provider look for them, never from mien: see docs/cloud.md. A request that fails is
repeated with growing pauses, and a listing is read page by page.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mien.errors import InputError, InputNotFoundError, UsageError

if TYPE_CHECKING:
    from obstore.store import RetryConfig

#: What addresses of stored files begin with, and what installs the library that reads them.
SCHEMES = {
    **dict.fromkeys(("s3", "s3a", "gs", "az", "abfs", "abfss"), "mien[cloud]"),
    "hf": "mien[hf]",
}
#: How long a request is repeated before it counts as failed.
RETRY_S = 120.0
_PAGE = 1000  # objects of a listing that are in memory
_BLOCK = 4 << 20
_TRIES = 5  # of a page of a listing, beyond the repetitions of each request
_WILD = re.compile(r"[*?[]")


@dataclass(frozen=True)
class StoredFile:
    """A file in a store.

    Attributes:
        address: where it is.
        size: bytes.
        version: changes with its content.
    """

    address: str
    size: int
    version: str


class Store(Protocol):
    """One bucket, container or repository; keys are paths in it."""

    def list(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        """Key, size and version of all files whose key starts with a folder's name and ``/``."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """The content of a file, block by block."""
        ...

    def write(self, key: str, data: bytes | Path) -> None:
        """Store a file whole, or not at all; replaces one of this name."""
        ...

    def delete(self, key: str) -> None:
        """Remove a file, if it is there."""
        ...


def is_stored(address: str) -> bool:
    """Whether an argument is the address of a file, folder or pattern in a store."""
    scheme, mark, _ = address.partition("://")
    return bool(mark) and scheme.lower() in SCHEMES


def listed(address: str) -> Iterator[StoredFile]:
    """The files below a folder, or those that match a pattern, lazily, in the order of the store.

    Args:
        address: a folder; or a pattern, in which ``*`` and ``?`` stand for characters of one name,
            and ``**/`` for any folders.

    Raises:
        InputError: the store cannot be reached, or refuses.
    """
    root, key = _split(address)
    fixed = key[: found.start()].rpartition("/")[0] if (found := _WILD.search(key)) else key
    matches = re.compile(_expression(key)).fullmatch if found else None
    with _failures(address):
        for name, size, version in open_store(root).list(fixed.strip("/")):
            if matches is None or matches(name):
                yield StoredFile(f"{root}/{name}", size, version)


def is_pattern(address: str) -> bool:
    """Whether an address has wildcards."""
    return bool(_WILD.search(_split(address)[1]))


def read(address: str) -> bytes:
    """The content of a file.

    Raises:
        InputNotFoundError: there is none.
        InputError: the store cannot be reached, or refuses.
    """
    root, key = _split(address)
    with _failures(address):
        return b"".join(open_store(root).read(key))


def fetch(address: str, target: Path) -> None:
    """Copy a file to this machine, block by block.

    Raises:
        As `read`, and OSError: `target` cannot be written.
    """
    root, key = _split(address)
    with target.open("wb") as file, _failures(address):
        for block in open_store(root).read(key):
            file.write(block)


def write(address: str, data: bytes | Path) -> None:
    """Store a file whole, or not at all; replaces one of this name.

    Raises:
        InputError: the store cannot be reached, or refuses.
    """
    root, key = _split(address)
    with _failures(address):
        open_store(root).write(key, data)


def delete(address: str) -> None:
    """Remove a file, if it is there.

    Raises:
        InputError: the store cannot be reached, or refuses.
    """
    root, key = _split(address)
    with _failures(address):
        open_store(root).delete(key)


@lru_cache(maxsize=16)
def open_store(root: str) -> Store:
    """The store of an address's beginning, such as ``s3://bucket``.

    Raises:
        UsageError: the library for it is not installed.
    """
    scheme = root.partition("://")[0].lower()
    try:
        return _Repository(root) if scheme == "hf" else _Bucket(root)
    except ImportError as error:
        raise UsageError(
            f"{scheme}:// addresses need another library: pip install '{SCHEMES[scheme]}'."
        ) from error


class _Bucket:
    """A bucket or container, through obstore."""

    def __init__(self, root: str) -> None:
        from obstore.store import from_url

        retry: RetryConfig = {
            "max_retries": 20,
            "retry_timeout": timedelta(seconds=RETRY_S),
            "backoff": {
                "init_backoff": timedelta(milliseconds=200),
                "max_backoff": timedelta(seconds=15),
                "base": 2,
            },
        }
        # Stores on this machine or in this network often have no TLS; the user's word is enough.
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        keys: dict[str, Any] = _aws_credentials() if root.startswith("s3") else {}
        self._store = from_url(
            root, retry_config=retry, client_options={"allow_http": True} if plain else None, **keys
        )

    def list(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        import obstore

        last, failures = None, 0
        while failures < _TRIES:
            try:
                for page in obstore.list(
                    self._store, prefix or None, offset=last, chunk_size=_PAGE
                ):
                    for entry in page:
                        version = entry["e_tag"] or f"{entry['last_modified']:%Y-%m-%dT%H:%M:%S}"
                        yield entry["path"], entry["size"], version
                        last, failures = entry["path"], 0
                return
            except obstore.exceptions.GenericError as error:  # of an answer that was cut off
                failures += 1
                if failures == _TRIES or "NoSuchBucket" in str(error):
                    raise
                time.sleep(0.2 * 2**failures)

    def read(self, key: str) -> Iterator[bytes]:
        import obstore

        for block in obstore.get(self._store, key).stream(min_chunk_size=_BLOCK):
            yield bytes(block)

    def write(self, key: str, data: bytes | Path) -> None:
        import obstore

        obstore.put(self._store, key, data)

    def delete(self, key: str) -> None:
        import obstore

        with suppress(FileNotFoundError):
            obstore.delete(self._store, key)


def _aws_credentials() -> dict[str, Any]:
    """Those of a profile, a login or a role, where boto3 is there to find them.

    Without it, obstore takes them from the environment and from the machine's role.
    """
    if "AWS_ACCESS_KEY_ID" in os.environ or os.environ.get("AWS_SKIP_SIGNATURE"):
        return {}
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider

        return {"credential_provider": Boto3CredentialProvider()}
    except (ImportError, ValueError):  # no boto3, or nothing that it finds
        return {}


class _Repository:
    """A repository of Hugging Face, through huggingface_hub."""

    def __init__(self, root: str) -> None:
        from huggingface_hub import HfFileSystem

        self._files: Any = HfFileSystem(use_listings_cache=False)
        self._root = root.removeprefix("hf://")

    def list(self, prefix: str) -> Iterator[tuple[str, int, str]]:
        top = f"{self._root}/{prefix}".rstrip("/")
        for _, _, entries in self._files.walk(top, detail=True):  # a folder at a time
            for entry in entries.values():
                version = str(entry.get("blob_id") or "")
                yield entry["name"].removeprefix(f"{self._root}/"), entry["size"], version

    def read(self, key: str) -> Iterator[bytes]:
        with self._files.open(f"{self._root}/{key}", "rb", block_size=_BLOCK) as file:
            while block := file.read(_BLOCK):
                yield block

    def write(self, key: str, data: bytes | Path) -> None:
        raise UsageError("hf:// is only read: write to a folder, s3://, gs:// or az://.")

    def delete(self, key: str) -> None:
        raise UsageError("hf:// is only read.")


def _split(address: str) -> tuple[str, str]:
    """The beginning that stands for a store, and the key in it."""
    scheme, _, rest = address.partition("://")
    parts = rest.strip("/").split("/")
    # hf://datasets/user/name, hf://user/name; abfss://container@account.dfs.core.windows.net
    depth = 1 if scheme.lower() != "hf" else 3 if parts[0] in ("datasets", "spaces") else 2
    if len(parts) < depth or not parts[0]:
        raise InputError(f"{address} is not an address of a file or folder: name its bucket.")
    return f"{scheme.lower()}://{'/'.join(parts[:depth])}", "/".join(parts[depth:])


def _expression(pattern: str) -> str:
    """The regular expression of a pattern of keys."""
    out, rest = "", pattern
    while rest:
        if rest.startswith("**/"):
            out, rest = out + r"(?:[^/]+/)*", rest[3:]
        elif rest.startswith("**"):
            out, rest = out + ".*", rest[2:]
        elif rest[0] == "*":
            out, rest = out + "[^/]*", rest[1:]
        elif rest[0] == "?":
            out, rest = out + "[^/]", rest[1:]
        elif rest[0] == "[" and "]" in rest[2:]:
            inner, _, rest = rest[1:].partition("]")
            out += f"[{'^' if inner[0] in '!^' else ''}{re.escape(inner.lstrip('!^'))}]".replace(
                r"\-", "-"
            )
        else:
            out, rest = out + re.escape(rest[0]), rest[1:]
    return out


@contextmanager
def _failures(address: str) -> Generator[None]:
    """Say in one sentence what a store refused."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputNotFoundError(f"There is no {address}.") from error
    except (InputError, UsageError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{address} cannot be reached: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, PermissionError) or re.search(r"40[13]|AccessDenied|Forbidden", text):
        return "the store refuses; check the credentials, and that they may read and write there"
    if re.search(r"NoSuchBucket|404|RepositoryNotFound", text):
        return "there is no such bucket"
    first = re.split(r"[\n{]", text)[0].strip().rstrip(".:")
    return f"{first[:200]}; check the address and the network" if first else type(error).__name__
