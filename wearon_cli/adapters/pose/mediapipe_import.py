"""
Importing MediaPipe without its drawing and audio libraries.

Its package imports OpenCV, Matplotlib and an audio library, none of which is used here. Without
them a process is 30 MB smaller, starts half a second sooner, and needs no libGL on the system.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

_UNUSED: Final = ("cv2", "matplotlib", "matplotlib.pyplot", "sounddevice")


@contextmanager
def without_drawing() -> Iterator[None]:
    """Let imports of those find an empty module, unless the real one is loaded already."""
    empty = {name: ModuleType(name) for name in _UNUSED if name not in sys.modules}
    for name, module in empty.items():
        module.__path__ = []  # looks like a package, so that its parts are looked up here too
        parent, _, child = name.rpartition(".")
        if parent in empty:
            setattr(empty[parent], child, module)
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            sys.modules.pop(name, None)
