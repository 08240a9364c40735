"""The preview generator: a composite made here, offline, free of charge, and marked as one."""

import io
from collections.abc import Callable
from threading import Lock
from typing import Final

import anyio
import anyio.to_thread
import numpy as np
from PIL import Image, UnidentifiedImageError

from wearon_cli.core.body.pose import PoseReader, PoseReading
from wearon_cli.core.errors import ConfigError, GeneratorFault, PictureProblem, RequestRejected
from wearon_cli.core.image_models import PREVIEW
from wearon_cli.core.preview.card import mark
from wearon_cli.core.preview.composing import compose
from wearon_cli.core.preview.rasters import Rgb
from wearon_cli.core.providers import GeneratedPicture, OneShot, TryOnRequest, Usage

#: The one model it has.
MODEL: Final = PREVIEW
#: Composites made at once: each keeps a core busy and takes about 60 MB of memory.
AT_ONCE: Final = 2
JPEG_QUALITY: Final = 92


class PreviewImages(OneShot):
    """
    Implements `Provider`: lays the first garment on the person's torso. Only tops are dressed;
    other garments, and tops that it cannot dress well, are shown next to the person, with the
    reason. Accessories and the prompt are ignored.
    """

    name = PREVIEW

    def __init__(self, open_reader: Callable[[], PoseReader]) -> None:
        """
        Args:
            open_reader: Called once, at the first preview: loading a pose model takes a second and
                100 MB. The caller closes its result.
        """
        self._open_reader = open_reader
        self._reader: PoseReader | None = None
        self._opening = Lock()
        self._turns = anyio.CapacityLimiter(AT_ONCE)

    async def submit(
        self, request: TryOnRequest, *, model: str, marker: str | None
    ) -> GeneratedPicture:
        """
        Make a preview.

        Raises:
            RequestRejected: There is no garment picture, an input is not a picture, or the first
                one shows no person.
            GeneratorFault: The pose model cannot be loaded here.
        """
        del model, marker
        pictures = [picture.jpeg for picture in request.pictures]
        if len(pictures) < 2:
            raise RequestRejected(
                "there is no garment picture; a preview needs a person and a garment"
            )
        data = await anyio.to_thread.run_sync(
            self.compose, pictures[0], pictures[1], limiter=self._turns, abandon_on_cancel=True
        )
        usage = Usage(provider=PREVIEW, model=MODEL, cost_usd=0.0, is_preview=True)
        return GeneratedPicture(data=data, usage=usage)

    def compose(self, person: bytes, garment: bytes) -> bytes:
        """
        Make a preview, blocking: a marked JPEG, of the person picture's size where it is dressed.

        Raises:
            As `submit`.
        """
        rgb, cloth = _decoded(person, "person"), _decoded(garment, "garment")
        people, wearers = self._people(rgb), self._people(cloth)
        if not people:
            raise RequestRejected(
                "no person was found in the first picture",
                hint="use a photo of one standing person, seen from the front",
            )
        picture = compose(rgb, people[0], cloth, wearers[0] if wearers else None)
        mark(picture)
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=JPEG_QUALITY)
        return out.getvalue()

    def _people(self, rgb: Rgb) -> tuple[PoseReading, ...]:
        try:
            return self._pose_reader().read(rgb)
        except PictureProblem as exc:
            raise RequestRejected(str(exc), hint=exc.hint) from exc
        except ConfigError as exc:
            raise GeneratorFault(f"previews cannot be made here: {exc}", hint=exc.hint) from exc

    def _pose_reader(self) -> PoseReader:
        with self._opening:
            if self._reader is None:
                self._reader = self._open_reader()
            return self._reader


def _decoded(data: bytes, what: str) -> Rgb:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as exc:
        raise RequestRejected(f"the {what} picture cannot be read") from exc
