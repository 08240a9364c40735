"""Builds what forgets sessions, and opens the providers that keep copies."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from wearon_cli.core.operator.forgetting import Forgetter
from wearon_cli.core.providers import Provider
from wearon_cli.core.settings import Settings
from wearon_cli.wiring.operator import OperatorTools


def forgetter(tools: OperatorTools) -> Forgetter:
    """The rules of forgetting over these tools."""
    return Forgetter(
        inspector=tools.inspector,
        storage=tools.storage,
        journal=tools.journal,
        dead_letters=tools.dead_letters,
        lock=tools.refund_lock,
    )


@asynccontextmanager
async def open_keepers(
    settings: Settings, names: Collection[str]
) -> AsyncIterator[Mapping[str, Provider]]:
    """
    The providers of these names that have a key here.

    Args:
        settings: Their keys and addresses.
        names: Of providers that may keep copies.
    """
    known = [name for name in names if settings.provider_key(name) is not None]
    async with AsyncExitStack() as stack:
        if not known:  # so that their libraries are not loaded
            yield {}
            return
        from wearon_cli.wiring.parts import open_fetcher
        from wearon_cli.wiring.providers import open_providers

        # Only OpenAI's Responses API keeps copies, whichever of the two APIs draws now.
        asked = settings.model_copy(update={"openai_api": "responses"})
        yield open_providers(stack, asked, await open_fetcher(stack, asked), known)
