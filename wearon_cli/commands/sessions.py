"""`wearon sessions`: lists sessions, or finds those that a pasted text is about."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.durations import AN_HOUR, ago, parse_span
from wearon_cli.cli.operator import with_tools
from wearon_cli.cli.options import DataDirOption, LocalOption
from wearon_cli.cli.output import Result, note
from wearon_cli.cli.session_facts import row_facts
from wearon_cli.core.errors import InputError
from wearon_cli.core.session import Status, utc_now

if TYPE_CHECKING:
    from wearon_cli.core.operator.inspector import Listed
    from wearon_cli.core.operator.search import Page, Wanted
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools

TextArgument = Annotated[
    str,
    typer.Argument(
        metavar="TEXT",
        show_default=False,
        help="Find sessions by a session id or its beginning, a request id (also a provider's), a "
        "shopper's e-mail, a store's domain or id, a user's id, or the address of a result.",
    ),
]
#: As `SinceOption`, but a pasted text is looked for in all sessions.
SinceOption = Annotated[
    timedelta | None,
    typer.Option(
        "--since",
        parser=parse_span,
        metavar="SPAN",
        help="How far to look back, such as 15m, 2h or 7d. Default: 1h; with TEXT, any time.",
    ),
]


def sessions(
    text: TextArgument = "",
    since: SinceOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only failed sessions.")] = False,
    status: Annotated[
        Status | None, typer.Option(help="Only sessions with this status.", case_sensitive=False)
    ] = None,
    store: Annotated[str | None, typer.Option(help="Only sessions of this store or user.")] = None,
    error: Annotated[
        str | None,
        typer.Option(help="Only sessions that failed with this error class, such as rate_limited."),
    ] = None,
    suspect: Annotated[
        bool,
        typer.Option("--suspect", help="Only ended sessions whose pictures failed a check."),
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="Show at most this many sessions.")
    ] = 50,
    local: LocalOption = False,
    data_dir: DataDirOption = None,
) -> Result:
    """
    List sessions, newest first.

    With TEXT it finds the sessions that the text is about, whatever is pasted, and says how the
    text was read. A text that names one session finds it, whatever the options say.

      wearon sessions --failed --since 2h

      wearon sessions ann@shop.example

      wearon sessions --store STORE_ID --since 1d --json

      wearon sessions --suspect --since 1d
    """
    if failed and status not in {None, Status.FAILED}:
        raise InputError("--failed and --status contradict each other", hint="use one of them")
    from wearon_cli.core.operator.filters import checked_error_class
    from wearon_cli.core.operator.search import MOST_SEARCHED, Pasted, Wanted

    span = since or (None if text else AN_HOUR)
    wanted = Wanted(
        text=text,
        since=utc_now() - span if span else None,
        statuses=frozenset({Status.FAILED} if failed else {status} if status else ()),
        owner=store or "",
        cause=checked_error_class(error) or "",
        is_suspect=suspect,
        limit=limit,
        most_looked_at=MOST_SEARCHED,
    )

    async def work(tools: "OperatorTools", _: "Settings") -> Result:
        page = await tools.search.find(wanted)
        if page.pasted not in {Pasted.NOTHING, Pasted.UNKNOWN}:
            note(f"read as {page.pasted.value}")
        return Result(data=_facts(page, wanted), lines=await _lines(page, wanted, tools))

    return with_tools(work, local=local, data_dir=data_dir)


def _facts(page: "Page", wanted: "Wanted") -> dict[str, object]:
    return {
        "sessions": [_listed_facts(each, suspect=wanted.is_suspect) for each in page.sessions],
        "read_as": page.pasted.name.lower(),
        "is_whole": page.next is None,
    }


def _listed_facts(listed: "Listed", *, suspect: bool) -> dict[str, object]:
    facts = {**row_facts(listed.session), "error_code": listed.cause}
    return {**facts, "suspicions": listed.suspicions} if suspect else facts


async def _lines(page: "Page", wanted: "Wanted", tools: "OperatorTools") -> list[object]:
    if not page.sessions:
        back = (
            f" in the last {ago(wanted.since)} (--since looks further back)" if wanted.since else ""
        )
        return [f"no sessions found{back}", *await _reasons(page, wanted, tools)]
    from wearon_cli.cli.session_table import sessions_table

    lines: list[object] = [sessions_table(page.sessions)]
    if page.next is not None:
        full = len(page.sessions) == wanted.limit
        lines += ["", f"there may be more: {'raise --limit' if full else 'use a shorter --since'}"]
    return lines


async def _reasons(page: "Page", wanted: "Wanted", tools: "OperatorTools") -> list[str]:
    """Why nothing was found, as far as that can be told: an unknown text, or a wrong owner."""
    from wearon_cli.core.operator.filters import near_owners
    from wearon_cli.core.operator.search import MOST_SEARCHED, Pasted

    if page.pasted is Pasted.UNKNOWN:
        return ["TEXT matches no known id, e-mail, domain or address"]
    if not wanted.owner or wanted.since is None:
        return []
    near = near_owners(wanted.owner, await tools.sessions.since(wanted.since, limit=MOST_SEARCHED))
    if not near:
        return []
    return [
        f"no sessions of store or user {wanted.owner} in this period; there are some of "
        f"{', '.join(near)}"
    ]
