"""Whether generated pictures can be signed (C2PA), and for how long."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final

from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.settings import Settings

#: A certificate that expires within this many days is a warning.
SOON_DAYS: Final = 30
_NAME: Final = "C2PA certificate"
_HINT: Final = "renew it: once it has expired, workers do not start and pictures are not signed"


async def check_certificate(settings: Settings, *, today: date) -> Sequence[Finding]:
    """
    Nothing where no certificate is set.

    Raises:
        ConfigError: It cannot be read, or cannot sign.
    """
    if settings.c2pa_certificate is None and settings.c2pa_key is None:
        return ()
    return [await asyncio.to_thread(_look, settings, today)]


def _look(settings: Settings, today: date) -> Finding:
    from wearon_cli.adapters.provenance.certificates import last_day
    from wearon_cli.wiring.provenance import open_marking

    until = last_day(settings.c2pa_certificate) if settings.c2pa_certificate else today
    if until < today:
        return Finding(name=_NAME, ok=False, detail=f"expired on {until}", hint=_HINT)
    open_marking(settings)  # signs a tiny picture; refuses one setting without the other
    days = (until - today).days
    is_soon = days <= SOON_DAYS
    return Finding(
        name=_NAME,
        ok=True,
        warning=is_soon,
        detail=f"can sign; expires on {until}, in {days} days",
        hint=_HINT if is_soon else "",
    )
