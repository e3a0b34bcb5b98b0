"""Errors as RFC 9457 problem documents, each with a stable `code`."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from pipelines.errors import StoreError
from serving.parameters import INVALID

PROBLEM_JSON = "application/problem+json"

logger = logging.getLogger(__name__)


class Problem(BaseModel):
    """An error, after RFC 9457; `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class ProblemError(Exception):
    """An error with its answer: HTTP status, stable code, detail for people."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of errors with these statuses."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": Problem.model_json_schema()}},
        }
        for status in statuses
    }


PROBLEMS = described(401, 403, 404, 422, 429, 503)


def add_handlers(app: FastAPI) -> None:
    """Let `app` answer every error that is expected with its problem document."""
    for kind in (ProblemError, StoreError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _on_error)


def problem(
    request: Request, status: HTTPStatus, code: str, detail: str, headers: Any = None
) -> JSONResponse:
    """The answer that tells of one error."""
    document = Problem(
        type="about:blank",
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request.state.request_id,
    )
    return JSONResponse(document.model_dump(), status, headers, PROBLEM_JSON)


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    """The problem document of an expected error."""
    if isinstance(error, ProblemError):
        return problem(request, error.status, error.code, error.detail)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        field = str(first["loc"][-1])
        if first["loc"][0] == "body":
            detail = f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}"[:300]
            return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_EVENTS", detail)
        code, detail = INVALID.get(field, ("INVALID_REQUEST", f"{field} is not valid"))
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, code, detail)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        detail = f"{status.description or status.phrase}; /docs lists what there is"
        return problem(request, status, status.name, detail, error.headers)
    logger.error("request %s: %s", request.state.request_id, error)
    detail = "the online store cannot be read just now; the log says why"
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", detail)
