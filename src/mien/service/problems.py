"""Errors of the service as ``application/problem+json`` (RFC 9457), in one sentence each."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mien.errors import InputError, MienError, ModelError, UsageError

_log = logging.getLogger("mien.service")


class ProblemError(Exception):
    """A request that cannot be answered, and why.

    Args:
        status: of the response.
        detail: one sentence: what is wrong, then what to do.
        headers: of the response.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status: int
        self.detail: str
        self.headers: dict[str, str]
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
            media_type="application/problem+json",
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
    _log.error("unexpected error", exc_info=error)
    return ProblemError(500, "an unexpected error occurred; the log of the service says more.")


def _first(errors: Any) -> str:
    """The first of the mistakes that FastAPI found, as a sentence."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return f"{where}: {first['msg']}."


def handle_problems(app: FastAPI) -> None:
    """Let every error of an application become a problem."""

    async def handle(_request: Request, error: Exception) -> Response:
        return as_problem(error).response()

    for kind in (ProblemError, MienError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


#: For OpenAPI: what every route may answer.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {
            "application/problem+json": {
                "example": {
                    "type": "about:blank",
                    "title": HTTPStatus(status).phrase,
                    "status": status,
                    "detail": detail,
                }
            }
        },
    }
    for status, detail in {
        400: "there is no label 'joy' to exclude; there are neutral, happiness.",
        401: "this service needs a token: send it as Authorization: Bearer TOKEN.",
        413: "the request has more than 64,000,000 bytes: send less at once.",
        422: "photo.jpg is a text file, not an image, despite its extension.",
    }.items()
}
