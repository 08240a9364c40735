"""The checks of `wearon doctor`, run when somebody asks for them."""

from fastapi import APIRouter, Request, Response

from wearon_cli.core.operator.checks import faults
from wearon_cli.core.session import utc_now
from wearon_cli.runtime.web.site import Site


def routes(site: Site) -> APIRouter:
    """The page."""
    router = APIRouter()

    @router.get("/doctor")
    async def doctor(request: Request) -> Response:
        if "run" not in request.query_params:
            return site.page(request, "doctor.html", findings=None)
        async with site.comparing:
            findings = await site.doctor()
        return site.page(
            request,
            "doctor.html",
            findings=findings,
            failed=len(faults(findings)),
            warnings=sum(each.warning for each in findings),
            at=utc_now(),
        )

    return router
