"""Errors of the service as ``application/problem+json`` (RFC 9457), in one sentence each."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from mien.errors import InputError, MienError, ModelError, UsageError

_log = logging.getLogger("mien.service")
PROBLEM = "application/problem+json"
_PASSING = (409, 423, 429, 503)  # with Retry-After, where waiting helps
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence."},
    },
}


class ProblemError(Exception):
    """A request that cannot be answered, and why.

    Args:
        status: of the response.
        detail: one sentence: what is wrong, then what to do.
        headers: of the response.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}

    @classmethod
    def busy(cls, status: int, detail: str, seconds: int) -> ProblemError:
        """One that goes away by itself: 429 or 503, with ``Retry-After``."""
        return cls(status, detail, {"Retry-After": str(seconds)})

    def response(self) -> Response:
        """The response that says it."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return Response(
            json.dumps(body, ensure_ascii=False),
            self.status,
            self.headers,
            media_type=PROBLEM,
        )


def as_problem(error: Exception) -> ProblemError:
    """What a client is told of an error; never a stack trace."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        detail = f"{error.detail}: /openapi.json lists what there is."
        return ProblemError(error.status_code, detail, dict(error.headers or {}))
    if isinstance(error, RequestValidationError):
        return ProblemError(400, _first(error.errors()))
    for kind, status in ((UsageError, 400), (InputError, 422), (ModelError, 400)):
        if isinstance(error, kind):
            return ProblemError(status, str(error))
    if isinstance(error, MienError):
        return ProblemError(500, str(error))
    if isinstance(error, OSError) and error.errno in _FULL:
        return ProblemError(507, "the disk of the service is full: ask its operator.")
    _log.error("unexpected error", exc_info=error)
    return ProblemError(500, "an unexpected error occurred; the log of the service says more.")


def _first(errors: Any) -> str:
    """The first of the mistakes that FastAPI found, as a sentence."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return f"{where}: {first['msg']}."


def handle_problems(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Let every error of an application become a problem; its routes tell their methods."""

    async def handle(request: Request, error: Exception) -> Response:
        problem = as_problem(error)
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers = {"Allow": ", ".join(_methods(routes, request))}
        return problem.response()

    for kind in (ProblemError, MienError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


def described(details: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Problems that a route may answer, for OpenAPI: statuses with an example of their sentence."""
    return {status: _described(status, detail) for status, detail in details.items()}


def answered(
    example: Any, media: str = "application/json", *others: str, description: str = "OK"
) -> dict[int | str, dict[str, Any]]:
    """An answer of status 200, for OpenAPI: an example in its media type, and further types."""
    content = {media: {"example": example}, **{name: {} for name in others}}
    return {200: {"description": description, "content": content}}


def _described(status: int, detail: str) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    example = {"type": "about:blank", "title": phrase, "status": status, "detail": detail}
    content = {"schema": _SCHEMA, "example": example}
    found: dict[str, Any] = {"description": f"{phrase}.", "content": {PROBLEM: content}}
    if status in _PASSING:
        schema = {"type": "integer"}
        found["headers"] = {"Retry-After": {"schema": schema, "example": 1}}
    return found


def _methods(routes: Sequence[BaseRoute], request: Request) -> list[str]:
    """The methods of an address, of all its routes; Starlette names those of the first."""
    found = set[str]()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return sorted(found)


#: What every route may answer.
PROBLEMS: dict[int | str, dict[str, Any]] = described(
    {
        400: "there is no label 'joy' to exclude; there are neutral, happiness.",
        401: "this service needs a token: send it as Authorization: Bearer TOKEN.",
        403: "pages of other origins may not call this service.",
        408: "the request stopped coming; send it again.",
        421: "without a token, this service answers only to localhost.",
    }
) | {"default": _described(500, "an unexpected error occurred; the log of the service says more.")}
#: What routes that take images or videos may answer, too.
CONTENT = described(
    {
        413: "the request has more than 64,000,000 bytes: send less at once.",
        422: "photo.jpg is a text file, not an image, despite its extension.",
        507: "the disk of the service is full: ask its operator.",
    }
)
#: What routes that begin a job may answer, too.
CREATION = described(
    {
        409: "this video is being uploaded by another request.",
        429: "too many jobs are waiting; try again later.",
    }
)
