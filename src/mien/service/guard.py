"""What every request must pass: origin, token, size; and the headers of every response."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.service.problems import ProblemError, as_problem
from mien.service.settings import ServiceSettings
from mien.service.uploads import VERSION

_log = logging.getLogger("mien.service")
_OPEN = {"/healthz", "/readyz"}  # without a token: they say nothing but that the service runs
_GONE = 499  # in log and metrics, as nginx has it: the client left before it had sent everything
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Guard:
    """Refuses requests that may not be made, and bodies that are too large or too slow.

    Without a token, only requests to this machine's own names are answered, so that a web page
    which gives its own name this machine's address reaches nothing.

    Args:
        app: answers the others.
        settings: token, origins and limits.
        observe: called after each request with route, status and seconds.
    """

    def __init__(
        self, app: ASGIApp, settings: ServiceSettings, observe: Callable[[str, int, float], None]
    ) -> None:
        self._app, self._settings, self._observe = app, settings, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        problem = self._problem(scope, Headers(scope=scope))
        if scope["type"] == "websocket":
            if problem is not None:
                await receive()
                return await send({"type": "websocket.close", "code": 1008, "reason": str(problem)})
            return await self._app(scope, receive, send)
        started, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/uploads"):
                    headers.setdefault("Tus-Resumable", VERSION)
            await send(message)

        try:
            if problem is not None:
                raise problem
            await self._app(scope, self._limited(scope, receive), sending)
        except ClientDisconnect:
            status = _GONE
        except Exception as error:
            if status:  # the response has begun: nothing can be said any more
                raise
            await as_problem(error).response()(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - started
            self._observe(route, status, seconds)
            _log.info("%s %s %d %.0f ms", scope["method"], route, status, 1000 * seconds)

    def _problem(self, scope: Scope, headers: Headers) -> ProblemError | None:
        settings, host = self._settings, headers.get("host", "")
        if settings.token is None and settings.host in _LOCAL and _name(f"//{host}") not in _LOCAL:
            return ProblemError(421, "without a token, this service answers only to localhost.")
        origin = headers.get("origin")
        if (
            origin is not None
            and origin not in settings.origins
            and urlsplit(origin).netloc != host
        ):
            return ProblemError(403, "pages of other origins may not call this service.")
        preflight = scope.get("method") == "OPTIONS" and origin in settings.origins
        if settings.token is None or _is_open(scope["path"]) or preflight:
            return None
        if not _is_token(headers, settings.token):
            return ProblemError(
                401,
                "this service needs a token: send it as Authorization: Bearer TOKEN.",
                {"WWW-Authenticate": "Bearer"},
            )
        return None

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """The body, up to its limit, as long as it keeps coming."""
        limits = self._settings.limits
        videos = scope["path"].startswith(("/v1/videos", "/v1/uploads"))
        most = limits.video_bytes if videos else limits.image_bytes
        too_large = ProblemError(
            413, f"the request has more than {most:,} bytes: send less at once."
        )
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise too_large
        received, whole = 0, False

        async def limited() -> Message:
            nonlocal received, whole
            if whole:  # what follows is only that the client has gone
                return await receive()
            try:
                async with asyncio.timeout(limits.stall_seconds):
                    message = await receive()
            except TimeoutError as error:
                raise ProblemError(408, "the request stopped coming; send it again.") from error
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > most:
                raise too_large
            return message

        return limited


def _is_open(path: str) -> bool:
    """Whether a path needs no token: the studio, which asks for it, and what says nothing."""
    return path in _OPEN or path == "/" or path.startswith("/studio/")


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_token(headers: Headers, token: str) -> bool:
    """Whether a request has the token; browsers send it to a stream as its second protocol."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        protocols = [p.strip() for p in headers.get("sec-websocket-protocol", "").split(",")]
        value = protocols[1] if len(protocols) == 2 and protocols[0] == "bearer" else ""
    return hmac.compare_digest(value.strip().encode(), token.encode())
