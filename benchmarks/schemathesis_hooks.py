"""Bodies of plain bytes for Schemathesis, which `service_fuzz.py` lets test the service."""

from __future__ import annotations

from typing import Any

import schemathesis

KINDS = ("image/*", "video/*", "application/offset+octet-stream")


@schemathesis.serializer(*KINDS)  # type: ignore[untyped-decorator]
def as_bytes(_context: Any, value: Any) -> bytes:
    """The bytes that a schema of `format: binary` stands for."""
    return bytes(getattr(value, "data", None) or str(value).encode())
