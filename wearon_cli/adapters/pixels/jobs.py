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


def _verify(data: bytes, *, with_small: bool) -> tuple[dict[str, Any], bytes]:
    made = verify(data, with_small=with_small)
    as_it_came, small = made.jpeg is data, made.small or b""
    note = {"as_it_came": as_it_came, "small_bytes": len(small)}
    return note, small if as_it_came else made.jpeg + small


JOBS: Final[Mapping[str, Job]] = {"prepare": _prepare, "verify": _verify}
