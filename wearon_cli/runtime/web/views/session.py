"""One session: pictures, timeline, row, ledger, credit, payload, prompt, what can be done."""

import json
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from wearon_cli.core.jobs.halts import halt_state, refund_at
from wearon_cli.core.operator.chances import ReplayChance, replay_chance
from wearon_cli.core.operator.inputs import InputKind, InputState
from wearon_cli.core.operator.inspector import JobLocation, SessionReport
from wearon_cli.core.operator.words import LOCATION_WORDS, credit_sentence
from wearon_cli.core.prompt import default_prompt
from wearon_cli.core.session import Channel, Status
from wearon_cli.core.storage import previous_path
from wearon_cli.runtime.web.live import stream
from wearon_cli.runtime.web.pictures import Shown
from wearon_cli.runtime.web.site import Site
from wearon_cli.runtime.web.timeline import moments

LOOK_EVERY_S: Final = 2.0


def routes(site: Site) -> APIRouter:
    """The page and its live part."""
    router = APIRouter()

    @router.get("/sessions/{session_id}")
    async def session(request: Request, session_id: str) -> Response:
        report = await site.tools.inspector.inspect(session_id)
        values = await session_facts(site, report)
        show_emails = request.query_params.get("emails") == "shown"
        return site.page(request, "session.html", **values, show_emails=show_emails)

    @router.get("/live/sessions/{session_id}")
    async def live(request: Request, session_id: str) -> Response:
        row = await site.tools.inspector.find(session_id)
        seen: list[JobLocation] = []

        async def part() -> str:
            report = await site.tools.inspector.inspect(row.session_id)
            seen.append(report.location)
            return site.part(request, "_session.html", await session_facts(site, report))

        return stream(
            site,
            part,
            every_s=LOOK_EVERY_S,
            is_over=lambda: bool(seen) and seen[-1] is JobLocation.ENDED,
        )

    return router


async def session_facts(site: Site, report: SessionReport) -> dict[str, Any]:
    """All that the page shows of one session."""
    row, tools = report.session, site.tools
    site.pictures.remember(row)
    inputs = await tools.inspector.input_pictures(report)
    store = await tools.sessions.store_domains([row.owner_id] if row.channel is Channel.B2B else [])
    halt = refund = None
    if report.job is not None:
        halt = halt_state((await tools.queue_stats.look()).halts, site.settings)
        refund = refund_at(halt, row, report.job, site.settings)
    return {
        "report": report,
        "row": row,
        "domain": store.get(row.owner_id, ""),
        "credit": credit_sentence(report),
        "location": LOCATION_WORDS[report.location],
        "is_open": report.location is not JobLocation.ENDED,
        "moments": moments(report.timeline),
        "suspicions": (await tools.inspector.suspicions([row]))[0],
        "pictures": _pictures(report, [(each.kind, each.state) for each in inputs]),
        "payload": _payload(report),
        "prompt": row.prompt_system or default_prompt(max(1, len(inputs))),
        "is_default_prompt": not row.prompt_system,
        "halt_lines": halt.lines() if halt else [],
        "refund_at": refund,
        "chance": _chance(report),
        "can": await _can(site, report),
    }


def _chance(report: SessionReport) -> ReplayChance | None:
    if report.session.status is not Status.FAILED or report.error_class is None:
        return None
    return replay_chance(report.error_class)


def _pictures(
    report: SessionReport, inputs: list[tuple[InputKind, InputState]]
) -> list[dict[str, Any]]:
    """The pictures in order, each there or with the reason why it is not."""
    shown: list[dict[str, Any]] = []
    for kind, state in inputs:
        if kind is InputKind.ACCESSORY and any(each["kind"] == "accessory" for each in shown):
            continue
        gone = "" if state is not InputState.GONE else "not stored any more"
        shown.append({"kind": kind.value, "missing": gone, "note": _STATES[state]})
    reason = {
        Status.COMPLETED: "it should be in storage, and is not",
        Status.FAILED: "none was made",
    }.get(report.session.status, "not there yet")
    missing = "" if report.is_stored else reason
    return [*shown, {"kind": Shown.RESULT.value, "missing": missing, "note": ""}]


_STATES: Final = {
    InputState.STORED: "",
    InputState.ELSEWHERE: "served by others",
    InputState.GONE: "",
}


def _payload(report: SessionReport) -> str:
    """The payload of its open job, laid out; addresses lose their queries as everywhere."""
    if report.job is None or not report.job.payload:
        return ""
    try:
        return json.dumps(json.loads(report.job.payload), indent=2, ensure_ascii=False)
    except ValueError:
        return report.job.payload.decode("utf-8", "backslashreplace")


async def _can(site: Site, report: SessionReport) -> dict[str, bool]:
    """What can be done; the plan of each says the rest."""
    row = report.session
    is_free = report.location in {JobLocation.ENDED, JobLocation.MISSING}
    completed = row.status is Status.COMPLETED
    undo = is_free and completed and report.is_stored
    return {
        "replay": is_free and not completed,
        "redraw": is_free and completed,
        "undo": undo and await site.tools.inspector.is_stored(previous_path(row.result_path)),
    }
