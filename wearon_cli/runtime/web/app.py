"""
The ASGI app of `wearon web`: who may see it, which headers every answer has, and its pages.

Only the style sheet, the script and the login are public.
"""

from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from wearon_cli.core.errors import (
    InputError,
    LetterNotFound,
    ObjectNotFound,
    SessionError,
    SessionNotFound,
    UpstreamError,
    WearonError,
)
from wearon_cli.core.events import emit
from wearon_cli.runtime.events import WebLoginOpened, WebRequestRefused
from wearon_cli.runtime.http.edge import EdgeMiddleware
from wearon_cli.runtime.web.guard import (
    is_csrf_right,
    is_own_host,
    is_same_origin,
    read_form,
)
from wearon_cli.runtime.web.site import Site
from wearon_cli.runtime.web.templates import STATIC_TYPES, static_file
from wearon_cli.runtime.web.views import (
    acting,
    costs,
    doctor,
    failures,
    letters,
    now,
    picture,
    reconcile,
    session,
    sessions,
)

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not no-referrer: with that, a browser names no origin in our own forms either.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
)
_LOGIN_PATH: Final = "/login"
_STATIC_PATH: Final = "/static/"


def make_app(site: Site) -> EdgeMiddleware:
    """The ASGI app, without a server."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _answer_errors(app, site)
    _add_login(app, site)
    _add_static(app)
    views = (now, sessions, session, failures, letters, reconcile, costs, doctor, picture)
    for view in views:
        app.include_router(view.routes(site))
    if site.allow_actions:
        app.include_router(acting.routes(site))
    headers = [*_HEADERS, (b"content-security-policy", POLICY.encode())]
    return EdgeMiddleware(Guard(app, site), headers=headers)


def _add_login(app: FastAPI, site: Site) -> None:
    @app.get(_LOGIN_PATH)
    async def ask(request: Request, token: str = "") -> Response:
        """A form that trades the token: browsers and previewers may fetch an address unasked."""
        if request.state.login is not None:
            return RedirectResponse("/", status_code=303)
        if site.logins.is_valid(token, now_s=site.clock()):
            return HTMLResponse(site.pages.render("login.html", token=token, is_refused=False))
        return _asked_to_log_in(site, is_refused=bool(token))

    @app.post(_LOGIN_PATH)
    async def log_in(request: Request) -> Response:
        token = request.state.form.get("token", "")
        opened = site.logins.open(token, name=site.operator, now_s=site.clock())
        if opened is None:
            emit(WebRequestRefused(reason="the login token is used, too old or unknown"))
            return _asked_to_log_in(site, is_refused=True)
        emit(WebLoginOpened(by=opened.name))
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            site.logins.cookie, opened.login_id, httponly=True, samesite="strict", path="/"
        )
        return answer

    @app.post("/logout")
    async def logout(request: Request) -> Response:
        site.logins.close(request.state.login)
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(site.logins.cookie, path="/")
        return answer


def _add_static(app: FastAPI) -> None:
    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC_TYPES:
            raise HTTPException(404)
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(static_file(name), headers=kept, media_type=STATIC_TYPES[name])


def _answer_errors(app: FastAPI, site: Site) -> None:
    @app.exception_handler(WearonError)
    async def failed(request: Request, exc: WearonError) -> Response:
        return _problem(site, request, _status(exc), str(exc), exc.hint)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, exc: HTTPException) -> Response:
        words = {404: "there is no such page", 405: "this page cannot do that"}
        phrase = HTTPStatus(exc.status_code).phrase.lower()
        return _problem(site, request, exc.status_code, words.get(exc.status_code, phrase))

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, _: RequestValidationError) -> Response:
        return _problem(site, request, 404, "there is no such page")

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _: Exception) -> Response:
        hint = "the log of `wearon web` has the details; please report it"
        return _problem(site, request, 500, "something went wrong here", hint)


def _status(exc: WearonError) -> int:
    match exc:
        case SessionNotFound() | LetterNotFound() | ObjectNotFound():
            return 404
        case InputError():
            return 422
        case SessionError():
            return 409
        case UpstreamError():
            return 503
    return 500


def _problem(site: Site, request: Request, status: int, message: str, hint: str = "") -> Response:
    if getattr(request.state, "login", None) is None:
        return PlainTextResponse(message, status)
    return site.page(
        request, "problem.html", status=status, message=message, hint=hint, code=status
    )


class Guard:
    """
    In front of every page: the Host, the login, and where a change comes from.

    An ASGI middleware. The body of a request is whole here (`EdgeMiddleware`).
    """

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers)
        if answer is None and scope["method"] == "POST":
            message = await receive()
            answer = self._refused_form(scope, read_form(message.get("body", b"")))
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why this request is not answered; None: it may pass."""
        site = self._site
        if not is_own_host(headers.get("host", ""), listening_on=site.host):
            return _refused(421, "the Host header names another machine")
        if scope["method"] not in {"GET", "HEAD", "POST"}:
            return _refused(405, "there is no such method here")
        posts, path = scope["method"] == "POST", scope["path"]
        login = site.logins.find(headers.get("cookie", ""), now_s=site.clock())
        is_open = path == _LOGIN_PATH or (path.startswith(_STATIC_PATH) and not posts)
        if login is None and not is_open:
            return _asked_to_log_in(site)
        if posts and not is_same_origin(headers):
            return _refused(403, "the form was sent from a page of another origin")
        scope.setdefault("state", {})["login"] = login
        return None

    def _refused_form(self, scope: Scope, form: dict[str, str]) -> Response | None:
        state, path = scope["state"], scope["path"]
        state["form"] = form
        if path == _LOGIN_PATH:
            return None  # its token is the login's own
        if not is_csrf_right(state["login"], form):
            return _refused(403, "the form does not carry the token of this login")
        if not self._site.allow_actions and path != "/logout":
            return _refused(403, "this page is read-only: use `wearon web --allow-actions`")
        return None


def _refused(status: int, reason: str) -> Response:
    emit(WebRequestRefused(reason=reason))
    return PlainTextResponse(reason, status)


def _asked_to_log_in(site: Site, *, is_refused: bool = False) -> Response:
    page = site.pages.render("login.html", token="", is_refused=is_refused)
    return HTMLResponse(page, status_code=401)
