"""Removes old pictures of the local stack; nothing else cleans its folder."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

#: How often a running stack looks for old pictures.
LOOK_EVERY_S: Final = 3600.0


@contextmanager
def old_pictures_removed(files: Path, *, keep_s: float) -> Iterator[None]:
    """
    Remove pictures that are older than `keep_s`, now and every hour while the block runs.

    Args:
        files: The folder of the bucket; may be missing.
        keep_s: Age at which a picture is removed, counted from when it was written.
    """
    stopping = threading.Event()

    def look() -> None:
        while True:
            remove_old(files, before_s=time.time() - keep_s)
            if stopping.wait(LOOK_EVERY_S):
                return

    looking = threading.Thread(target=look, name="old-pictures", daemon=True)
    looking.start()
    try:
        yield
    finally:
        stopping.set()
        looking.join()


def remove_old(files: Path, *, before_s: float) -> int:
    """
    Remove every picture that was last written before this time.

    Args:
        files: The folder of the bucket.
        before_s: Seconds since the epoch.

    Returns:
        How many were removed. One that cannot be removed is tried again next time.
    """
    removed = 0
    for picture in files.rglob("*"):
        with suppress(OSError):
            if picture.is_file() and picture.stat().st_mtime < before_s:
                picture.unlink()
                removed += 1
    return removed
