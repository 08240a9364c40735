"""
Makes contact sheets of previews: `python scripts/preview_sheet.py GARMENTS PEOPLE...`.

GARMENTS is a folder of pictures; PEOPLE are pictures or folders. Each row of a sheet shows a
garment and its preview on each person. Every third garment (by name) is held out: `--held-out`
shows these alone, `--tuned` the others. Needs the pose model (`wearon model pull`).
"""

import argparse
import io
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw

from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.adapters.providers.preview import PreviewImages
from wearon_cli.core.errors import WearonError
from wearon_cli.core.settings import load_settings

TILE_PX = 300
CAPTION_PX = 14
ROWS_PER_SHEET = 9
KINDS = {".jpg", ".jpeg", ".png", ".webp"}
PAPER = (255, 255, 255)


def main() -> None:
    wanted = arguments()
    garments = pictures([wanted.garments])
    if wanted.held_out or wanted.tuned:
        garments = [g for i, g in enumerate(garments) if (i % 3 == 2) == wanted.held_out]
    people = pictures(wanted.people)
    with MediaPipePose(require_model(load_settings())) as reader:
        generator = PreviewImages(lambda: reader)
        rows = [row_of(generator, garment, people) for garment in garments]
    for number, first in enumerate(range(0, len(rows), wanted.rows), start=1):
        target = wanted.out.with_stem(f"{wanted.out.stem}{number}")
        stacked(rows[first : first + wanted.rows]).save(target)
        sys.stdout.write(f"{target}\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip())
    parser.add_argument("garments", type=Path)
    parser.add_argument("people", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path("preview_sheet.jpg"))
    parser.add_argument("--rows", type=int, default=ROWS_PER_SHEET)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--held-out", action="store_true")
    which.add_argument("--tuned", action="store_true")
    return parser.parse_args()


def pictures(places: Iterable[Path]) -> list[Path]:
    found = []
    for place in places:
        inside = sorted(place.iterdir()) if place.is_dir() else [place]
        found += [path for path in inside if path.suffix.lower() in KINDS]
    return found


def row_of(generator: PreviewImages, garment: Path, people: list[Path]) -> Image.Image:
    tiles = [captioned(Image.open(garment), garment.stem)]
    for person in people:
        began_s = time.process_time()
        result, words = Image.new("RGB", (TILE_PX, TILE_PX), (90, 90, 90)), person.stem
        try:
            data = generator.compose(as_jpeg(person), as_jpeg(garment))
            result = Image.open(io.BytesIO(data)).convert("RGB")
        except WearonError as exc:
            words = str(exc)
        tiles.append(captioned(result, f"{time.process_time() - began_s:.1f} s {words}"))
    row = Image.new("RGB", (TILE_PX * len(tiles), TILE_PX + CAPTION_PX), PAPER)
    for index, tile in enumerate(tiles):
        row.paste(tile, (TILE_PX * index, 0))
    return row


def as_jpeg(path: Path) -> bytes:
    out = io.BytesIO()
    Image.open(path).convert("RGB").save(out, "JPEG", quality=95)
    return out.getvalue()


def captioned(picture: Image.Image, words: str) -> Image.Image:
    tile = Image.new("RGB", (TILE_PX, TILE_PX + CAPTION_PX), PAPER)
    small = picture.convert("RGB")
    small.thumbnail((TILE_PX, TILE_PX))
    tile.paste(small, ((TILE_PX - small.width) // 2, 0))
    ImageDraw.Draw(tile).text((2, TILE_PX + 1), words[:46], fill=(0, 0, 0))
    return tile


def stacked(rows: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), PAPER)
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


if __name__ == "__main__":
    main()
