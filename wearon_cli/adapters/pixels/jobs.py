"""What a pixel process can do, by name. Runs in the child; importing it must stay cheap."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from wearon_cli.core.pictures.prepare import LONGEST_PX, prepare, verify

#: A picture file and named arguments in; a note and bytes out.
type Job = Callable[..., tuple[dict[str, Any], bytes]]


def _prepare(
    data: bytes, *, max_px: int, longest_px: int = LONGEST_PX
) -> tuple[dict[str, Any], bytes]:
    made = prepare(data, longest_px=longest_px, max_px=max_px)
    note = {
        "width_px": made.width_px,
        "height_px": made.height_px,
        "small_bytes": len(made.small),
    }
    return note, made.jpeg + made.small


def _verify(data: bytes) -> tuple[dict[str, Any], bytes]:
    made = verify(data)
    as_it_came = made is data
    return {"as_it_came": as_it_came}, b"" if as_it_came else made


JOBS: Final[Mapping[str, Job]] = {"prepare": _prepare, "verify": _verify}
