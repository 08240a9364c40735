"""Which object names are valid: none may point outside the bucket."""

import re
from typing import Final

from wearon_cli.core.errors import StoreRefused

#: Narrower than the storage server's own rule, and enough for every path this product makes.
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@=+ -]*")
MAX_PATH_CHARS: Final = 512


def checked_path(path: str) -> str:
    """
    The path, if it is a valid object path.

    Raises:
        StoreRefused: Empty or odd segments, `..`, a leading slash, or too long.
    """
    segments = path.split("/")
    if len(path) > MAX_PATH_CHARS or not all(map(_SEGMENT.fullmatch, segments)):
        raise StoreRefused("this is not a valid object name", vendor_code="400")
    return path
