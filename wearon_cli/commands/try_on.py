"""`wearon try-on`: one try-on by hand, end to end, as if the platform had ordered it."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wearon_cli.cli.consent import YesOption, consent
from wearon_cli.cli.operator import operator_name
from wearon_cli.cli.options import DataDirOption, LocalOption, OperatorOption
from wearon_cli.cli.outcome import check_target, followed_result, lost_sight, not_followed
from wearon_cli.cli.output import Result, note
from wearon_cli.cli.progress import Progress, progress
from wearon_cli.cli.stack import stack_settings
from wearon_cli.cli.uploads import read_uploads
from wearon_cli.core.errors import InputError, QueueUnavailable
from wearon_cli.core.operator.follow import follow
from wearon_cli.core.operator.payers import (
    FREE_HINT,
    FREE_NEEDS_STORE,
    PayerChoice,
    choose_payer,
)
from wearon_cli.core.operator.try_on import Order, Upload
from wearon_cli.core.session import Channel

if TYPE_CHECKING:
    from wearon_cli.core.settings import Settings
    from wearon_cli.wiring.operator import OperatorTools


UserOption = Annotated[str | None, typer.Option(help="User who pays, by id or e-mail (b2c).")]
StoreOption = Annotated[
    str | None, typer.Option(help="Merchant store that pays, by id or domain (b2b).")
]
ShopperOption = Annotated[
    str | None,
    typer.Option(help="E-mail of the store's shopper; required where shoppers pay (b2b)."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOnCommand:
    """What was asked for on the command line, checked."""

    pictures: tuple[Upload, ...]
    channel: Channel = Channel.B2C
    owner: str | None = None  # id, e-mail or domain; None: a local stack's sample user
    shopper_email: str | None = None
    is_free: bool = False
    prompt: str = ""
    by: str  # the operator
    out: Path | None
    timeout_s: float


def try_on(
    person: Annotated[Path, typer.Argument(help="Photo of the person: JPEG, PNG or WebP.")],
    garments: Annotated[
        list[Path], typer.Argument(help="Photo of the garment, then up to 8 of accessories.")
    ],
    local: LocalOption = False,
    data_dir: DataDirOption = None,
    user: UserOption = None,
    store: StoreOption = None,
    shopper: ShopperOption = None,
    free: Annotated[
        bool, typer.Option("--free", help="Take no credit: a trial for a store (b2b).")
    ] = False,
    prompt: Annotated[
        str, typer.Option(help="Prompt for the image model, instead of the default.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Where to save the picture. Default: ./try-on-<session>.jpg."),
    ] = None,
    yes: YesOption = False,
    operator: OperatorOption = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Stop following after this many seconds.")
    ] = 600.0,
) -> Result:
    """
    Dress a person in garments; save the picture.

    Does what the platform does: checks and uploads the pictures, takes one credit, creates a
    session and queues its job. Then it follows the session to its end, saves the picture, and
    prints its path, cost and duration. If the try-on fails, it prints the shopper's message and
    whether the credit was returned, and exits with 7.

    It shows whose credit it would take and the balance, and asks before it takes a credit or buys a
    picture; without a terminal it needs --yes. The platform's rules apply: in a store whose
    shoppers pay, --shopper is required. --free takes no credit and returns none if the trial fails;
    it needs --store, because only a store's ledger records this.

    With --local it uses the stack that runs in the data folder, or starts one for this run, and
    needs no owner. The local stores are demo.shop.test and resell.shop.test, where
    shopper@shop.test pays. Without an image provider's key a local stack makes a preview, a
    composite that costs nothing, and does not ask.

    If you stop following (Ctrl-C or --timeout), the session continues in the background.

      wearon try-on me.jpg shirt.png --local

      wearon try-on me.jpg shirt.png hat.jpg --store shop.example.com --out me-dressed.jpg
    """

    from wearon_cli.core.settings import load_settings  # imports pydantic

    command = TryOnCommand(
        pictures=read_uploads((person, *garments), load_settings()),
        channel=_channel(user, store, shopper, free=free),
        owner=user or store,
        shopper_email=shopper,
        is_free=free,
        prompt=prompt,
        by=operator_name(operator),
        out=check_target(out) if out else None,
        timeout_s=timeout,
    )
    with ExitStack() as stack:
        with progress("preparing"):
            settings = stack.enter_context(stack_settings(local, data_dir))
        return asyncio.run(_run_if_agreed(command, settings, yes))


async def _run_if_agreed(command: TryOnCommand, settings: "Settings", yes: bool) -> Result:
    from wearon_cli.wiring.operator import open_operator_tools

    async with open_operator_tools(settings) as tools:
        choice = await _payer(command, settings, tools)
        question = _question(choice, settings)
        if settings.is_local or yes:  # otherwise the question says it
            note(f"will {choice.sentence}")
        if question is not None:
            await consent(question, yes=yes)
        with progress("uploading the pictures") as shown:
            return await _order(command, choice, settings, tools, shown)


def _question(choice: PayerChoice, settings: "Settings") -> str | None:
    """The question to confirm; None when it takes no real credit and costs nothing."""
    from wearon_cli.runtime.all.local_stack import draws_previews

    if not settings.is_local:
        return f"{choice.sentence} and buy a picture?"
    return None if draws_previews(settings) else "buy a picture with the key of this local stack?"


async def _payer(
    command: TryOnCommand, settings: "Settings", tools: "OperatorTools"
) -> PayerChoice:
    name = command.owner
    if name is None:
        if not settings.is_local:
            raise InputError(
                "no owner specified",
                hint="specify --user or --store, or use --local",
            )
        from wearon_cli.adapters.local.accounts import DEMO_USER_ID  # imports sqlite3

        name = DEMO_USER_ID
    return await choose_payer(
        tools.orders.ledger,
        command.channel,
        name,
        shopper_email=command.shopper_email,
        is_free=command.is_free,
    )


async def run(command: TryOnCommand, settings: "Settings", shown: Progress) -> Result:
    """Order the try-on, follow it, save the picture."""
    from wearon_cli.wiring.operator import open_operator_tools

    async with open_operator_tools(settings) as tools:
        shown.say("uploading the pictures")
        choice = await _payer(command, settings, tools)
        return await _order(command, choice, settings, tools, shown)


async def _order(
    command: TryOnCommand,
    choice: PayerChoice,
    settings: "Settings",
    tools: "OperatorTools",
    shown: Progress,
) -> Result:
    order = Order(
        channel=command.channel,
        owner_id=choice.account.owner_id,
        pictures=command.pictures,
        prompt=command.prompt,
        shopper_email=command.shopper_email,
        shopper_pays=choice.shopper_pays,
        is_free=choice.is_free,
        by=command.by,
    )
    placing = asyncio.create_task(tools.orders.place(order))
    try:
        row = await asyncio.shield(placing)
    except asyncio.CancelledError:  # its credit may already be taken: the id must be shown
        raise not_followed(await placing, settings) from None
    shown.say(f"session {row.session_id} is queued")
    picture = None
    try:
        ended = await follow(
            tools.inspector, row.key, timeout_s=command.timeout_s, on_look=shown.look
        )
        if ended.succeeded:
            picture = command.out or Path(f"try-on-{row.session_id}.jpg")
            picture.write_bytes(await tools.storage.get(row.result_path))
    except asyncio.CancelledError:
        raise not_followed(row, settings) from None
    except QueueUnavailable as exc:
        raise lost_sight(row, settings) from exc
    return followed_result(ended, settings, picture=picture, elapsed_s=shown.elapsed_s)


def _channel(user: str | None, store: str | None, shopper: str | None, *, free: bool) -> Channel:
    """
    Raises:
        InputError: The options cannot be combined.
    """
    if user and store:
        raise InputError("--user and --store cannot be combined", hint="specify one of them")
    if shopper and not store:
        raise InputError("--shopper needs --store", hint="only stores have shoppers")
    if free and not store:
        raise InputError(FREE_NEEDS_STORE, hint=FREE_HINT)
    return Channel.B2B if store else Channel.B2C
