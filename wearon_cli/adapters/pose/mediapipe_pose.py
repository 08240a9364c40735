"""MediaPipe's pose landmarker, behind our own port."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from wearon_cli.adapters.pose.mediapipe_import import guarded_import
from wearon_cli.core.body.pose import PoseReading
from wearon_cli.core.errors import ConfigError, PictureUnusable

#: Most people looked for. One is expected; a second one shows that there are several.
MOST_PEOPLE: Final = 3


class MediaPipePose:
    """
    Implements `PoseReader`. Close it, or use it as a context manager.

    Photos are read one after the other on MediaPipe's own thread, whatever thread calls.
    """

    def __init__(self, model: Path, *, quiet: bool = True) -> None:
        """
        Load the model: takes half a second, and longer when MediaPipe is imported first.

        Args:
            quiet: Keep the native libraries' output off the terminal.

        Raises:
            ConfigError: The model, or MediaPipe itself, cannot be loaded.
        """
        self._hush = quietly if quiet else _as_is
        with self._hush():
            self._landmarker = load_landmarker(
                model, num_poses=MOST_PEOPLE, output_segmentation_masks=True
            )

    def read(self, rgb: NDArray[np.uint8]) -> tuple[PoseReading, ...]:
        """
        Find people, the largest first (see `PoseReader`).

        Raises:
            PictureUnusable: It is not a picture, or MediaPipe cannot process it.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
            raise PictureUnusable(f"not an RGB picture: shape {rgb.shape}")
        from mediapipe import Image, ImageFormat

        try:
            with self._hush():
                found = self._landmarker.detect(
                    Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
                )
        except (ValueError, RuntimeError) as exc:
            raise PictureUnusable("the pose network cannot work with this picture") from exc
        return _readings(found, rgb.shape[:2])

    def close(self) -> None:
        """Free the model's memory. The reader cannot be used afterwards."""
        with self._hush():
            self._landmarker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_landmarker(model: Path | bytes, **options: Any) -> Any:
    """
    MediaPipe's own landmarker.

    Args:
        model: The model file, or what is in it.
        options: Passed to its `PoseLandmarkerOptions`.

    Raises:
        ConfigError: The model, or MediaPipe itself, cannot be loaded.
    """
    path = None if isinstance(model, bytes) else str(model)
    try:
        with guarded_import():
            from mediapipe.tasks.python.core.base_options import BaseOptions
            from mediapipe.tasks.python.vision.pose_landmarker import (
                PoseLandmarker,
                PoseLandmarkerOptions,
            )

        base = BaseOptions(model_asset_path=path, model_asset_buffer=None if path else model)
        return PoseLandmarker.create_from_options(
            PoseLandmarkerOptions(base_options=base, **options)
        )
    except (ImportError, OSError) as exc:
        library = str(exc).partition(":")[0]
        raise ConfigError(
            f"MediaPipe cannot be loaded on this system ({library})",
            hint="install the named system library (docs/deployment.md lists all of them)",
        ) from exc
    except (ValueError, RuntimeError) as exc:
        which = f": {path}" if path else ""
        raise ConfigError(
            f"the pose model cannot be loaded{which}", hint="run `wearon model pull --again`"
        ) from exc


def _readings(found: Any, shape: tuple[int, ...]) -> tuple[PoseReading, ...]:
    masks = found.segmentation_masks or []
    readings = [
        PoseReading(
            landmarks=_frozen([(p.x, p.y, p.z) for p in points]),
            visibility=_frozen([p.visibility for p in points]),
            world=_frozen([(p.x, p.y, p.z) for p in world]),
            mask=_frozen(mask.numpy_view().reshape(shape)),
        )
        for points, world, mask in zip(
            found.pose_landmarks, found.pose_world_landmarks, masks, strict=True
        )
    ]
    return tuple(sorted(readings, key=lambda reading: -float(reading.mask.sum())))


def _frozen(values: Any) -> NDArray[np.float32]:
    array = np.array(values, np.float32)  # a copy: MediaPipe frees its own with the result
    array.flags.writeable = False
    return array


@contextmanager
def _as_is() -> Iterator[None]:
    yield


class _NativeNoise:
    """
    Keeps what C and C++ libraries print off stderr while MediaPipe runs.

    Its libraries print warnings that mean nothing to a user and that no setting turns off. They go
    through C's `stderr` stream; Python's own messages do not. So the stream, a variable in C, is
    pointed at the null device for the time: file descriptor 2 and with it every log line of other
    threads stay as they are.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._real: int | None = None
        self._null: int | None = None

    @contextmanager
    def muted(self) -> Iterator[None]:
        """May be entered by several threads at once: the last one out restores the stream."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            self._inside += 1
            stream = _c_stderr()
            if self._inside > 1 or stream is None:
                return
            self._null = self._null or _open_null()
            if self._null:
                self._real, stream.value = stream.value, self._null

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            stream = _c_stderr()
            if not self._inside and stream is not None and self._real:
                stream.value, self._real = self._real, None


_NATIVE_NOISE: Final = _NativeNoise()
#: Wrapped around calls of MediaPipe: keeps the output of its native libraries off the terminal and
#: the log.
quietly: Final = _NATIVE_NOISE.muted


def _c_stderr() -> ctypes.c_void_p | None:
    """The variable in which the C library keeps its stderr stream, where it is a variable."""
    name = "__stderrp" if sys.platform == "darwin" else "stderr"
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), name)
    except (ValueError, OSError, TypeError):  # TypeError: Windows has no process-wide library
        return None


def _open_null() -> int | None:
    """A C stream to the null device, open for as long as the process lives."""
    fopen = ctypes.CDLL(None).fopen
    fopen.restype = ctypes.c_void_p
    fopen.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    stream = fopen(b"/dev/null", b"w")
    return int(stream) if stream else None
