"""
The HTTP app: `POST /estimate-body`, `GET /health`, and with --local the stored pictures.

Routes, authentication, and the mapping of errors to statuses (docs/http.md).
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from wearon_cli.adapters.local.storage import ROUTE, LocalStorage, media_type
from wearon_cli.core.errors import (
    FetchFailed,
    InputError,
    MeasuringUnavailable,
    ObjectNotFound,
    PhotoRefused,
    PictureProblem,
    StoreRefused,
    StoreUnavailable,
    WearonError,
)
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.http.callers import Callers
from wearon_cli.runtime.http.docs_page import CONTENT_SECURITY_POLICY, render
from wearon_cli.runtime.http.edge import (
    UPLOAD_PATH,
    EdgeMiddleware,
    Refused,
    code_of,
    is_upload,
)
from wearon_cli.runtime.http.faults import MOST_FAULTS, told
from wearon_cli.runtime.http.health import Health
from wearon_cli.runtime.http.measuring import Measuring
from wearon_cli.runtime.http.reference import PROBLEMS, REQUESTS, describe_uploads
from wearon_cli.runtime.http.schemas import EstimateAnswer, Fault, HealthAnswer, Problem, Standing
from wearon_cli.runtime.http.uploads import read_request
from wearon_cli.runtime.ops.metrics import Meters

#: The sentence that existing callers expect for a photo that cannot be fetched.
BAD_PHOTO: Final = "Invalid or inaccessible image URL"

_FIELDS_HINT: Final = "docs/http.md lists the fields"
_URL_HINT: Final = (
    "send an https address from which anybody can fetch the photo, or the photo itself"
)
#: The router's own refusals, by status: detail and hint.
_ROUTING: Final = {
    404: ("there is no such path", "docs/http.md lists the paths"),
    405: ("this path does not take this method", "the header Allow names the method"),
}

_bearer: Final = HTTPBearer(auto_error=False, description="WEARON_HTTP_TOKEN, when it is set.")


def make_app(
    settings: Settings,
    measuring: Measuring,
    health: Health,
    files: LocalStorage | None,
    meters: Meters,
) -> EdgeMiddleware:
    """The ASGI app, without a server."""
    app = FastAPI(
        title="WearOn worker",
        description="Body measurement for size advice.",
        version="1",  # of the interface; the program's own version is not public
        docs_url=None,  # FastAPI's own page loads scripts from elsewhere
        openapi_url="/openapi.json" if settings.http_docs else None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name a host that the caller chose
    )
    _answer_errors(app)
    _add_estimate(app, settings, measuring)
    _add_health(app, health)
    _add_metrics(app, settings, meters)
    if files is not None:
        _add_files(app, files)
    describe_uploads(app)
    if settings.http_docs:
        _add_docs(app)
    return EdgeMiddleware(app, max_picture_bytes=settings.max_picture_bytes)


def _add_health(app: FastAPI, health: Health) -> None:
    @app.get("/health", tags=["health"])
    async def report() -> HealthAnswer:
        """Whether the pose model is loaded and Redis answers. Always 200."""
        return HealthAnswer.model_validate(health.report())

    @app.get("/health/live", tags=["health"])
    async def live() -> Standing:
        """Answered as long as the process lives."""
        return Standing(status="ok")

    @app.get("/health/ready", tags=["health"], responses={503: {"model": Standing}})
    async def ready() -> JSONResponse:
        """503 until photos can be measured."""
        if health.ready:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "not ready"}, status_code=503)


def _add_estimate(app: FastAPI, settings: Settings, measuring: Measuring) -> None:
    callers = Callers(settings.http_trusted_proxies)
    guards = [Depends(_token_guard(settings)), Depends(_rate_guard(settings, callers))]

    @app.post(
        UPLOAD_PATH,
        tags=["measuring"],
        dependencies=guards,
        responses=PROBLEMS,
        openapi_extra=REQUESTS,
    )
    async def estimate_body(request: Request) -> EstimateAnswer:
        """
        Measure the body in a photo.

        One person, standing, facing the camera, from head to feet. Send addresses of photos as
        JSON, photos as files of a form, or one photo as the body with the rest as query
        parameters. Weight, sex and a photo from the side narrow the bands. `confidence` is the
        probability that the recommended size is right. Photos are not kept.
        """
        caller = callers.of(request.scope)
        with measuring.memory_for(caller) as reserve:
            asked = await read_request(
                request, max_picture_bytes=settings.max_picture_bytes, reserve=reserve
            )
            measured = await measuring.estimate(
                asked.photos, asked.request, caller=caller, reserve=reserve
            )
        return EstimateAnswer.model_validate(measured.to_response())


def _add_docs(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(
            render(app.openapi()), headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        )


def _add_metrics(app: FastAPI, settings: Settings, meters: Meters) -> None:
    @app.get("/metrics", include_in_schema=False, dependencies=[Depends(_token_guard(settings))])
    def metrics() -> Response:
        return Response(meters.render(), media_type=CONTENT_TYPE_LATEST)


def _add_files(app: FastAPI, files: LocalStorage) -> None:
    @app.get(ROUTE + "/{path:path}", include_in_schema=False)
    async def stored_file(path: str, token: str = "") -> Response:
        data = await run_in_threadpool(files.open_signed, path, token)
        return Response(data, media_type=media_type(data))


def _token_guard(settings: Settings) -> Any:
    wanted = settings.http_token.get_secret_value().encode() if settings.http_token else None

    async def guard(
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> None:
        if wanted is None:
            return
        if given is None or not hmac.compare_digest(given.credentials.encode(), wanted):
            raise Refused(
                401,
                "the bearer token is missing or wrong",
                hint="send the header Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return guard


def _rate_guard(settings: Settings, callers: Callers) -> Any:
    limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
    limit: RateLimitItem = RateLimitItemPerMinute(settings.http_requests_per_minute)

    async def guard(request: Request) -> None:
        if not await limiter.hit(limit, callers.of(request.scope)):
            raise Refused(
                429,
                "too many requests from this address",
                hint="wait as long as Retry-After says",
                headers={"Retry-After": "10"},
            )

    return guard


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def wrong_request(_: Request, exc: RequestValidationError) -> JSONResponse:
        faults: Sequence[Fault] = exc.errors()
        hint = next((each.hint for each in faults if each.hint), _FIELDS_HINT)
        return _problem(422, told(faults), "invalid_request", hint=hint, faults=faults)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, exc: HTTPException) -> JSONResponse:
        if isinstance(exc, Refused):
            detail, hint = exc.detail, exc.hint
        else:
            detail, hint = _ROUTING.get(exc.status_code, (exc.detail, ""))
        return _problem(
            exc.status_code, detail, code_of(exc.status_code), hint=hint, headers=exc.headers
        )

    @app.exception_handler(WearonError)
    async def failed(request: Request, exc: WearonError) -> JSONResponse:
        status, detail, code = _status(exc)
        hint = exc.hint
        if status == 400 and not is_upload(request.scope):
            detail = f"{BAD_PHOTO}: {detail}"
            hint = hint or _URL_HINT
        headers = None
        if isinstance(exc, MeasuringUnavailable):
            headers = {"Retry-After": str(max(1, round(exc.retry_after_s)))}
        return _problem(status, detail, code, hint=hint, headers=headers)

    @app.exception_handler(Exception)
    async def unexpected_error(_: Request, __: Exception) -> JSONResponse:
        return _problem(500, "Internal error", "unexpected")


def _status(exc: WearonError) -> tuple[int, str, str]:
    """Status, detail and code of an error. 4xx: the request is wrong; 5xx: unavailable."""
    match exc:
        case PhotoRefused():
            return 422, str(exc), exc.reason
        case PictureProblem() | FetchFailed():
            return 400, str(exc), exc.code
        case InputError():
            return 422, str(exc), exc.code
        case MeasuringUnavailable() | StoreUnavailable():
            return 503, str(exc), exc.code
        case ObjectNotFound() | StoreRefused():
            return 404, "there is no such file", "not_found"
    return 500, "Internal error", exc.code


def _problem(
    status: int,
    detail: str,
    code: str,
    *,
    hint: str = "",
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(detail=detail, code=code, hint=hint, faults=list(faults[:MOST_FAULTS]))
    body = problem.model_dump(exclude=None if faults else {"faults"})
    return JSONResponse(body, status_code=status, headers=headers)
