"""Gold views over HTTP: their rows, read as they are now, without a JVM."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from pipelines.errors import LakeError
from serving.parameters import MAX_ROWS
from serving.problems import PROBLEMS, ProblemError

View = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="a view's name")]
Rows = Annotated[int, Query(ge=1, le=MAX_ROWS, description="how many, at most")]


class Page(Protocol):
    """Some rows of a view, the version of its table that they are of, and a text unique to it."""

    @property
    def version(self) -> int: ...
    @property
    def tag(self) -> str: ...
    @property
    def rows(self) -> list[dict[str, Any]]: ...


class Gold(Protocol):
    """What reads the views; see `pipelines.io.pages`."""

    def comments(self) -> Mapping[str, str]:
        """View -> its grain in a sentence."""

    def page(self, name: str, where: Mapping[str, str], limit: int) -> Page:
        """The first rows that have the given values.

        Raises:
            KeyError: there is no such view.
            ValueError: a column is not the view's, or has no such value; says which.
            LakeError: the view cannot be read without Spark; says why.
        """


class ViewInfo(BaseModel):
    view: str
    comment: str


class Views(BaseModel):
    views: list[ViewInfo]


class ViewRows(BaseModel):
    view: str
    version: int
    rows: list[dict[str, Any]]


router = APIRouter(responses=PROBLEMS)


@router.get("/v1/views", response_model=Views)
def views(request: Request) -> JSONResponse:
    """The gold views that there are."""
    told = _gold(request).comments()
    return JSONResponse({"views": [{"view": v, "comment": c} for v, c in sorted(told.items())]})


# Not async: a page that is not kept takes tens of milliseconds, which a thread waits for.
@router.get("/v1/views/{view}", response_model=ViewRows)
def rows(request: Request, view: View, limit: Rows = 100) -> Response:
    """Rows of a view in the order of its key; any column as a parameter asks for its value.

    The answer's ETag is the version of the view: with `If-None-Match` an unchanged view costs
    nothing but the look at its log.
    """
    where = {name: value for name, value in request.query_params.items() if name != "limit"}
    try:
        page = _gold(request).page(view, where, limit)
    except KeyError:
        detail = f"there is no view {view}; /v1/views lists them"
        raise ProblemError(HTTPStatus.NOT_FOUND, "NOT_FOUND", detail) from None
    except ValueError as error:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        raise ProblemError(status, "INVALID_FILTER", str(error)) from None
    except LakeError as error:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        raise ProblemError(status, "NOT_READY", str(error)) from None
    tag = f'"{page.tag}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return JSONResponse({"view": view, "version": page.version, "rows": page.rows}, headers=headers)


def _gold(request: Request) -> Gold:
    gold: Gold | None = request.app.state.gold
    if gold is None:
        detail = "this server was started without a lake; run `lakehouse serve` beside one"
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", detail)
    return gold
