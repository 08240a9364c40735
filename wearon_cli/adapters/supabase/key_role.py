"""Which role a key has, and whether it sees every row: to an anon key, tables look empty."""

import base64
import json
from typing import Final

from wearon_cli.adapters.rows import pg_codes
from wearon_cli.adapters.supabase.client import Supabase
from wearon_cli.core.errors import ConfigError, StoreRefused
from wearon_cli.core.operator.checks import Finding
from wearon_cli.core.session import Channel
from wearon_cli.core.settings import Settings

KEY_HINT: Final = "put this project's service role key into SUPABASE_SERVICE_ROLE_KEY"
SERVICE_ROLE: Final = "service_role"
#: A row that every table refuses: its owner cannot exist and its status is invalid. A key that is
#: subject to row level security is refused for that first.
_PROBE: Final[dict[str, object]] = {
    "user_id": "00000000-0000-0000-0000-000000000000",
    "status": "a look by wearon: nothing is written",
    "model_image_url": "",
    "prompt_system": "",
}
_FAULTS_OF_THE_PROBE: Final = {pg_codes.CHECK_VIOLATED, pg_codes.OWNER_UNKNOWN}


def check_role(settings: Settings) -> Finding:
    """The key's own claims; verifying its signature is up to Supabase."""
    key = settings.supabase_service_role_key
    role = claimed_role(key.get_secret_value() if key else "")
    if role in {None, SERVICE_ROLE}:
        return Finding(name="supabase key", ok=True, detail="a service role key")
    return Finding(
        name="supabase key", ok=False, detail=f"this is a key of the role {role}", hint=KEY_HINT
    )


def claimed_role(key: str) -> str | None:
    """The role that a key claims; None when it has none."""
    if key.startswith("sb_publishable_"):
        return "anon"
    parts = key.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return str(claims["role"])
    except (ValueError, KeyError, TypeError):
        return None


def require_service_role(settings: Settings) -> None:
    """
    Refuse a key whose claimed role sees only some rows.

    Raises:
        ConfigError: It is the key of another role.
    """
    role = check_role(settings)
    if not role.ok:
        raise ConfigError(f"{role.name}: {role.detail}", hint=role.hint)


async def require_whole_view(supabase: Supabase) -> None:
    """
    Refuse a key that is subject to row level security, whatever role it claims.

    Raises:
        ConfigError: It sees only some of the rows.
        StoreUnavailable: Supabase does not answer.
    """
    table = Channel.B2C.table

    async def send() -> None:
        await supabase.client.table(table).insert(dict(_PROBE)).execute()

    try:
        await supabase.once(f"look at {table}", send)
    except StoreRefused as exc:
        if exc.vendor_code in _FAULTS_OF_THE_PROBE:
            return
        raise ConfigError(
            "this Supabase key does not see every row, so results would be wrong",
            hint=KEY_HINT,
        ) from exc
