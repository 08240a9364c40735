"""
Makes docs/images/demo.jpg, the README's picture: `python scripts/readme_picture.py`.

The bundled sample, side by side: the person, the garment, and what the preview generator makes of
them. Needs the pose model (`wearon model pull`).
"""

import io
from pathlib import Path

from PIL import Image

from wearon_cli.adapters.pose.mediapipe_pose import MediaPipePose
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.adapters.providers.preview import PreviewImages
from wearon_cli.core.settings import load_settings

ROOT = Path(__file__).parent.parent
ASSETS = ROOT / "wearon_cli" / "assets"
HEIGHT_PX = 560
GAP_PX = 16
PAPER = (255, 255, 255)


def side_by_side(person: Path, garment: Path) -> Image.Image:
    """Person, garment and preview in one picture."""
    with MediaPipePose(require_model(load_settings())) as reader:
        generator = PreviewImages(lambda: reader)
        result = generator.compose(person.read_bytes(), garment.read_bytes())
    pictures = [Image.open(each) for each in (person, garment, io.BytesIO(result))]
    tiles = [
        each.resize((each.width * HEIGHT_PX // each.height, HEIGHT_PX), Image.Resampling.LANCZOS)
        for each in pictures
    ]
    width = sum(tile.width for tile in tiles) + GAP_PX * (len(tiles) - 1)
    sheet = Image.new("RGB", (width, HEIGHT_PX), PAPER)
    left = 0
    for tile in tiles:
        sheet.paste(tile, (left, 0))
        left += tile.width + GAP_PX
    return sheet


def main() -> None:
    target = ROOT / "docs" / "images" / "demo.jpg"
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet = side_by_side(ASSETS / "person.jpg", ASSETS / "garment_sweater.jpg")
    sheet.save(target, quality=85, optimize=True)


if __name__ == "__main__":
    main()
