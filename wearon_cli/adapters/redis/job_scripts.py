"""The Lua scripts for jobs: each is atomic and safe to send twice."""

import json
from importlib.resources import files
from typing import Any, Final

from redis.commands.core import AsyncScript

from wearon_cli.adapters.redis import keys
from wearon_cli.adapters.redis.client import Client, redis_errors

#: What a script needs besides `common.lua`.
PARTS: Final = {
    "register": ("workers",),
    "leave": ("workers",),
    "recover": ("workers", "breakers"),
    "release": ("breakers", "releasing"),
    "open": ("breakers", "releasing"),
}
_NAMES: Final = "".join(
    f"local {name} = {json.dumps(value)}\n" for name, value in keys.LUA_NAMES.items()
)


class JobScripts:
    """Runs `lua/<name>.lua`, with the names of the keys and the parts it needs before it."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._loaded: dict[str, AsyncScript] = {}

    async def run(self, name: str, *args: Any) -> Any:
        """Run one script."""
        script = self._loaded.get(name)
        if script is None:
            script = self._loaded[name] = self._redis.register_script(_text(name))
        with redis_errors():
            return await script(args=args)


def _text(name: str) -> str:
    folder = files(__package__).joinpath("lua")
    parts = ("common", *PARTS.get(name, ()), name)
    return _NAMES + "".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in parts)
