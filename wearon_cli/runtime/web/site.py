"""What every page works with."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse

from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.operator.search import SessionSearch
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.web.guard import Login, Logins
from wearon_cli.runtime.web.pictures import Pictures
from wearon_cli.runtime.web.templates import Pages
from wearon_cli.wiring.operator import OperatorTools

#: Pages that may be watched live at once.
MOST_STREAMS: Final = 24

type Doctor = Callable[[], Awaitable[list[Finding]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Tools, templates and rules of one running page."""

    settings: Settings
    tools: OperatorTools
    search: SessionSearch
    pictures: Pictures
    doctor: Doctor
    logins: Logins
    allow_actions: bool
    operator: str  # who acts, unless somebody says another name
    host: str  # that it listens on
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    streams: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_STREAMS))
    #: One long comparison at a time.
    comparing: asyncio.Lock = field(default_factory=asyncio.Lock)
    pages: Pages = field(default_factory=Pages)
    clock: Callable[[], float] = time.monotonic

    def values(self, request: Request, **values: Any) -> dict[str, Any]:
        """What a template of a whole page gets."""
        login: Login = request.state.login
        return {
            "path": request.url.path,
            "query": "",
            "is_local": self.settings.is_local,
            "allow_actions": self.allow_actions,
            "csrf": login.csrf,
            "name": login.name,
            "show_emails": False,
            **values,
        }

    def page(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """A whole page."""
        return HTMLResponse(
            self.pages.render(template, **self.values(request, **values)), status_code=status
        )

    def part(self, request: Request, template: str, values: Mapping[str, Any]) -> str:
        """A part of a page, as a live update."""
        return self.pages.render(template, **self.values(request, **values))
