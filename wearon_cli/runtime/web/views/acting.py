"""
What changes something: replay, undo, requeue, drop, fix. Only with `--allow-actions`.

Each is the command's own function. A GET shows the plan and changes nothing; a POST plans again; if
the new plan differs from the one shown, it shows the new plan and does nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from wearon_cli.core.errors import InputError
from wearon_cli.core.events import emit
from wearon_cli.core.operator.replay_plan import Plan, ReplayOptions
from wearon_cli.core.session import Session
from wearon_cli.runtime.events import WebActionDone
from wearon_cli.runtime.web.guard import Login, checked_name
from wearon_cli.runtime.web.site import Site

#: Longest text of a field, as the payload's own limits.
_MOST_REASON: Final = 500
_MOST_PROMPT: Final = 32_000


def routes(site: Site) -> APIRouter:
    """The pages of plans, and what carries them out."""
    router = APIRouter()
    _add_replay(router, site)
    _add_undo(router, site)
    _add_letters(router, site)
    _add_fix(router, site)
    return router


def _add_replay(router: APIRouter, site: Site) -> None:
    @router.get("/sessions/{session_id}/replay")
    async def plan(request: Request, session_id: str) -> Response:
        asked = request.query_params
        planned = await site.tools.replayer.plan(session_id, _options(asked, by=""))
        return _plan_page(site, request, planned, asked)

    @router.post("/sessions/{session_id}/replay")
    async def replay(request: Request, session_id: str) -> Response:
        form = request.state.form
        by = _name(request)
        planned = await site.tools.replayer.plan(session_id, _options(form, by=by))
        if form.get("plan") != fingerprint(planned):
            return _plan_page(site, request, planned, form, moved=True)
        await site.tools.replayer.run(planned)
        return _done("replay", planned.session.session_id, by)


def _plan_page(
    site: Site, request: Request, plan: Plan, asked: Mapping[str, str], *, moved: bool = False
) -> Response:
    return site.page(
        request,
        "replay.html",
        status=409 if moved else 200,
        plan=plan,
        row=plan.session,
        fingerprint=fingerprint(plan),
        sentences=plan.sentences(),
        asked={name: asked.get(name, "") for name in ("force", "charge", "model", "prompt")},
        reason=asked.get("reason", ""),
        models=site.settings.model_names,
        moved=moved,
    )


def _options(asked: Mapping[str, str], *, by: str) -> ReplayOptions:
    return ReplayOptions(
        force=asked.get("force") == "on",
        charge=asked.get("charge") == "on",
        model=asked.get("model") or None,
        prompt=(asked.get("prompt") or "")[:_MOST_PROMPT] or None,
        by=by,
        reason=checked_name(asked.get("reason", "")[:_MOST_REASON]),
    )


def fingerprint(plan: Plan) -> str:
    """
    Names what a plan would do: equal for two plans that would do the same, of a session that
    nothing has happened to meanwhile.
    """
    return _hashed(
        plan.session.session_id,
        plan.session.status,
        plan.action,
        plan.report.credit.state,
        plan.price.expected_usd,
        plan.price.max_purchases,
        [(each.kind, each.state, each.path) for each in plan.inputs],
        (plan.options.force, plan.options.charge, plan.options.model, plan.options.prompt),
        _last_moment(plan.report.timeline),
    )


def _hashed(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _last_moment(timeline: Sequence[Mapping[str, object]]) -> object:
    """When something happened last: a redraw or an undo leaves the row's state as it was."""
    return timeline[-1]["at"] if timeline else None


def _add_undo(router: APIRouter, site: Site) -> None:
    @router.get("/sessions/{session_id}/undo")
    async def check(request: Request, session_id: str) -> Response:
        row = await site.tools.undo.check(session_id)
        return await _undo_page(site, request, row)

    @router.post("/sessions/{session_id}/undo")
    async def undo(request: Request, session_id: str) -> Response:
        by = _name(request)
        row = await site.tools.undo.check(session_id)
        if request.state.form.get("plan") != await _undo_fingerprint(site, row):
            return await _undo_page(site, request, row, moved=True)
        reason = checked_name(request.state.form.get("reason", "")[:_MOST_REASON])
        await site.tools.undo.run(row, by=by, reason=reason)
        site.pictures.forget(row.session_id)
        return _done("undo", row.session_id, by)


async def _undo_page(
    site: Site, request: Request, row: Session, *, moved: bool = False
) -> Response:
    site.pictures.remember(row)
    return site.page(
        request,
        "undo.html",
        status=409 if moved else 200,
        row=row,
        fingerprint=await _undo_fingerprint(site, row),
        moved=moved,
    )


async def _undo_fingerprint(site: Site, row: Session) -> str:
    """Another one after each undo: the same form, sent twice, does not bring the later one back."""
    timeline = await site.tools.inspector.jobs.timeline(row.session_id)
    return _hashed(row.session_id, row.completed_at, _last_moment(timeline))


def _add_letters(router: APIRouter, site: Site) -> None:
    letters = site.tools.letters

    @router.get("/dead-letters/{letter_id}/requeue")
    async def plan(request: Request, letter_id: str) -> Response:
        letter = await letters.get(letter_id)
        planned = await letters.plan(letter, by="")
        return _requeue_page(site, request, letter_id, planned)

    @router.post("/dead-letters/{letter_id}/requeue")
    async def requeue(request: Request, letter_id: str) -> Response:
        by = _name(request)
        planned = await letters.plan(await letters.get(letter_id), by=by)
        if request.state.form.get("plan") != fingerprint(planned):
            return _requeue_page(site, request, letter_id, planned, moved=True)
        await site.tools.replayer.run(planned)
        return _done("requeue", planned.session.session_id, by)

    @router.get("/dead-letters/{letter_id}/drop")
    async def ask(request: Request, letter_id: str) -> Response:
        return site.page(request, "drop.html", letter=await letters.get(letter_id))

    @router.post("/dead-letters/{letter_id}/drop")
    async def drop(request: Request, letter_id: str) -> Response:
        by = _name(request)
        letter = await letters.get(letter_id)
        await letters.drop(letter, by=by)
        emit(WebActionDone(action="drop", target=letter_id, by=by))
        return RedirectResponse("/dead-letters", status_code=303)


def _requeue_page(
    site: Site, request: Request, letter_id: str, plan: Plan, *, moved: bool = False
) -> Response:
    return site.page(
        request,
        "requeue.html",
        status=409 if moved else 200,
        letter_id=letter_id,
        row=plan.session,
        fingerprint=fingerprint(plan),
        sentences=plan.sentences(),
        moved=moved,
    )


def _add_fix(router: APIRouter, site: Site) -> None:
    @router.get("/reconcile/{session_id}")
    async def look(request: Request, session_id: str) -> Response:
        return site.page(
            request, "fix.html", **await _cases(site, session_id), done=None, moved=False
        )

    @router.post("/reconcile/{session_id}")
    async def fix(request: Request, session_id: str) -> Response:
        by = _name(request)
        await site.tools.require_whole_view()
        found = await _cases(site, session_id)
        if request.state.form.get("plan") != found["fingerprint"]:
            return site.page(request, "fix.html", status=409, **found, done=None, moved=True)
        done = [await site.tools.reconciler.fix(case, by=by) for case in found["cases"]]
        emit(WebActionDone(action="fix", target=found["row"].session_id, by=by))
        return site.page(request, "fix.html", **{**found, "cases": done}, done=True, moved=False)


async def _cases(site: Site, session_id: str) -> dict[str, Any]:
    row = await site.tools.inspector.find(session_id)
    cases = list(await site.tools.reconciler.cases(row))
    found = [(each.discrepancy, each.reason) for each in cases]
    return {"row": row, "cases": cases, "fingerprint": _hashed(row.session_id, found)}


def _name(request: Request) -> str:
    """
    Who acts: as typed, and kept for the next time.

    Raises:
        InputError: Nobody said a name.
    """
    login: Login = request.state.login
    name = checked_name(request.state.form.get("name", ""))
    if not name:
        raise InputError("who acts? the timeline records a name", hint="fill in your name")
    login.name = name
    return name


def _done(action: str, session_id: str, by: str) -> Response:
    emit(WebActionDone(action=action, target=session_id, by=by))
    return RedirectResponse(f"/sessions/{session_id}?done={action}", status_code=303)
