"""
Importing MediaPipe without its drawing and audio libraries, and without its reports.

Its package imports OpenCV, Matplotlib and an audio library, none of which is used here. Without
them a process is 30 MB smaller, starts half a second faster, and needs no libGL.

Its native library reports to its vendor: it looks up play.googleapis.com and connects to it when a
landmarker is closed. Seen with strace in MediaPipe 1.2.2, which has no switch for it.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

_UNUSED: Final = ("cv2", "matplotlib", "matplotlib.pyplot", "sounddevice")

#: The native library sends its reports through the proxy in this variable, and then resolves no
#: name itself.
_PROXY_VARIABLE: Final = "https_proxy"
#: Port 0 of this machine: no program can listen there, and every connection to it is refused.
_NOWHERE: Final = "http://127.0.0.1:0"


@contextmanager
def guarded_import() -> Iterator[None]:
    """
    Every import of MediaPipe is inside this context.

    From then on its reports go nowhere: only C code of this process sees the variable. Python's own
    `os.environ` stays as it is, and with it our HTTP clients and every child that is started with
    it. The libraries that are not used are empty modules, unless the real ones are loaded already.
    """
    os.putenv(_PROXY_VARIABLE, _NOWHERE)
    empty = {name: ModuleType(name) for name in _UNUSED if name not in sys.modules}
    for name, module in empty.items():
        module.__path__ = []  # looks like a package, so that its submodules are looked up here too
        parent, _, child = name.rpartition(".")
        if parent in empty:
            setattr(empty[parent], child, module)
    sys.modules.update(empty)
    try:
        yield
    finally:
        for name in empty:
            sys.modules.pop(name, None)
