"""
Measures how well the checks of pictures tell right from wrong, on a labelled set made here.

    python -m scripts.check_pictures [--people FOLDER]... [--garments FOLDER]... [--half N] [--each]

People and garments are the repository's own; photos in the folders named are added. For each person
there are input pictures, and generated pictures that are right (the trunk painted with a garment,
everything a little brighter, larger, softer, or recoloured, warped and sharpened) or wrong in a
known way. Writes no files.

With --half every second person is left out: to choose thresholds on one half of the people, and
judge them on the other.
"""

import argparse
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from wearon_cli.adapters.pose.check_jobs import check_inputs, check_result
from wearon_cli.adapters.pose.model_file import require_model
from wearon_cli.adapters.pose.people_finder import PeopleFinder
from wearon_cli.core.checks.people import Person
from wearon_cli.core.pictures.prepare import prepare, verify
from wearon_cli.core.settings import load_settings

ROOT: Final = Path(__file__).parents[1]
PEOPLE: Final = (ROOT / "wearon_cli/assets/person.jpg", ROOT / "tests/data/bodies")
GARMENTS: Final = tuple(
    ROOT / f"wearon_cli/assets/garment_{name}.jpg" for name in ("tee", "sweater")
)
ENDINGS: Final = {".jpg", ".jpeg", ".png", ".webp"}
#: The size that an image model returns for our `image_size`.
DRAWN_PX: Final = (1024, 1536)
#: Garments that each person is dressed in.
GARMENTS_EACH: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One picture, and whether a check should find something wrong with it."""

    kind: str
    name: str
    is_wrong: bool
    findings: tuple[str, ...] = ()


def photos(paths: Sequence[Path]) -> dict[str, Image.Image]:
    """The pictures of files and folders, prepared as for a job."""
    files = [f for path in paths for f in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return {
        file.stem: opened(prepare(file.read_bytes()).jpeg)
        for file in files
        if file.suffix.lower() in ENDINGS
    }


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=quality)
    return held.getvalue()


# --------------------------------------------------------------------------------- input pictures


def input_cases(
    people: dict[str, Image.Image], garments: dict[str, Image.Image], model: Path
) -> Iterator[Case]:
    """Good pairs; then pictures that are unusable for a try-on."""

    def case(kind: str, name: str, person: Image.Image, garment: Image.Image, wrong: bool) -> Case:
        report = check_inputs([small(person), small(garment)], model)
        marked = (f"{each}{'!' if each in report.certain else ''}" for each in report.findings)
        return Case(kind=kind, name=name, is_wrong=wrong, findings=tuple(marked))

    one_person, one_garment = next(iter(people.values())), next(iter(garments.values()))
    for name, person in people.items():
        yield case("photo of a person", name, person, one_garment, False)
        yield case("upper half of it", name, cut(person, 0.0, 0.55), one_garment, False)
        yield case("lower half of it", name, cut(person, 0.45, 1.0), one_garment, False)
        yield case("grey, dark, soft", name, spoilt(person), one_garment, False)
    for name, garment in garments.items():
        yield case("picture of a garment", name, one_person, garment, False)
        yield case("garment as the person", name, garment, one_garment, True)
    for colour in ("white", "black", "#87817b"):
        flat = Image.new("RGB", (600, 800), colour)
        yield case("flat colour as the person", colour, flat, one_garment, True)
        yield case("flat colour as the garment", colour, one_person, flat, True)
    yield case("same picture twice", "", one_person, one_person, True)


def small(picture: Image.Image) -> bytes:
    """What the checks of a job get of an input picture."""
    return prepare(jpeg(picture)).small


def answered(picture: Image.Image) -> bytes:
    """The same of a generated one."""
    verified = verify(jpeg(picture), with_small=True)
    return verified.small or verified.jpeg


def cut(picture: Image.Image, top: float, bottom: float) -> Image.Image:
    wide, high = picture.size
    return picture.crop((0, int(top * high), wide, int(bottom * high)))


def filled(picture: Image.Image) -> Image.Image:
    """Its middle, in the proportions of a generated picture."""
    return ImageOps.fit(picture, DRAWN_PX)


def spoilt(picture: Image.Image) -> Image.Image:
    dark = ImageEnhance.Brightness(picture.convert("L").convert("RGB")).enhance(0.35)
    return dark.filter(ImageFilter.GaussianBlur(max(picture.size) / 250))


# ---------------------------------------------------------------------------- generated pictures


def result_cases(
    people: dict[str, Image.Image], garments: dict[str, Image.Image], model: Path
) -> Iterator[Case]:
    """Generated pictures of each person with some garments."""
    finder, names = PeopleFinder(model), list(people)
    for number, (name, person) in enumerate(people.items()):
        found = finder.find(np.asarray(person))
        if len(found) != 1:
            yield Case(kind="(left out: several people, or none)", name=name, is_wrong=False)
            continue
        other = people[names[(number + 1) % len(names)]]
        chosen = [list(garments)[(number + n) % len(garments)] for n in range(GARMENTS_EACH)]
        for garment_name in dict.fromkeys(chosen):
            garment = garments[garment_name]
            drawn = drawings(person, found[0], garment, other, np.random.default_rng(number))
            for kind, is_wrong, picture in drawn:
                report = check_result(answered(picture()), small(person), small(garment), {}, model)
                told = [each.value for each in report.findings]
                told += [f"({report.not_checked})"] if report.not_checked else []
                pair = f"{name} + {garment_name}"
                yield Case(kind=kind, name=pair, is_wrong=is_wrong, findings=tuple(told))


def drawings(
    person: Image.Image,
    found: Person,
    garment: Image.Image,
    other: Image.Image,
    chance: np.random.Generator,
) -> list[tuple[str, bool, Callable[[], Image.Image]]]:
    """(kind, whether it is wrong, the picture)."""
    dressed = painted(person, found, garment)
    twice = Image.new("RGB", (2 * person.width, person.height))
    twice.paste(dressed, (0, 0))
    twice.paste(person, (person.width, 0))
    far = Image.new("RGB", (2 * person.width, 2 * person.height), "#b8b4ae")
    far.paste(dressed, (person.width // 2, person.height // 2))
    return [
        ("right: dressed", False, lambda: redrawn(dressed, chance)),
        ("right: dressed, redrawn more", False, lambda: redrawn(dressed, chance, by=2.0)),
        ("right: dressed, edited", False, lambda: edited(dressed, chance)),
        ("wrong: clothes untouched", True, lambda: redrawn(person, chance)),
        ("wrong: clothes untouched, edited", True, lambda: edited(person, chance)),
        ("wrong: another person", True, lambda: redrawn(other, chance)),
        (
            "wrong: cut off below the chest",
            True,
            lambda: redrawn(filled(cut(dressed, 0, 0.4)), chance),
        ),
        (
            "wrong: cut off above the hips",
            True,
            lambda: redrawn(filled(cut(dressed, 0.5, 1)), chance),
        ),
        ("wrong: half as large", True, lambda: redrawn(far, chance)),
        ("wrong: two people", True, lambda: redrawn(twice, chance)),
        ("wrong: the garment alone", True, lambda: redrawn(garment, chance)),
        ("wrong: blank", True, lambda: Image.new("RGB", DRAWN_PX, "#f2f2f2")),
    ]


def painted(person: Image.Image, found: Person, garment: Image.Image) -> Image.Image:
    """The trunk and upper arms in the garment's cloth, in the light of what was worn."""
    wide, high = garment.size
    cloth = garment.crop((int(0.3 * wide), int(0.3 * high), int(0.7 * wide), int(0.7 * high)))
    cloth = cloth.resize(person.size)
    shade = np.asarray(person.convert("L"), np.float64)[..., None]
    mask = Image.new("L", person.size)
    pen = ImageDraw.Draw(mask)
    left_shoulder, right_shoulder, left_hip, right_hip = found.trunk
    middle = found.trunk.mean(axis=0)
    corners = [
        middle + 1.18 * (each - middle)
        for each in (right_shoulder, left_shoulder, left_hip, right_hip)
    ]
    pen.polygon([tuple(each) for each in corners], fill=255)
    for shoulder, elbow in ((left_shoulder, found.points[13]), (right_shoulder, found.points[14])):
        ends = [tuple(shoulder), tuple(shoulder + 0.6 * (elbow - shoulder))]
        pen.line(ends, fill=255, width=max(2, int(0.25 * found.trunk_px)))
    inside = np.asarray(mask) > 0
    light = shade / max(1.0, float(shade[inside].mean())) if inside.any() else shade
    lit = np.clip(np.asarray(cloth, np.float64) * np.clip(light, 0.5, 1.5), 0, 255)
    soft = mask.filter(ImageFilter.GaussianBlur(2))
    return Image.composite(Image.fromarray(lit.astype(np.uint8)), person, soft)


def redrawn(picture: Image.Image, chance: np.random.Generator, *, by: float = 1.0) -> Image.Image:
    """As a model returns it: other light, a little larger or smaller, softer, in its size."""
    light = 1 + by * chance.uniform(-0.08, 0.08)
    scale = min(DRAWN_PX[0] / picture.width, DRAWN_PX[1] / picture.height)
    scale *= 1 + by * chance.uniform(-0.04, 0.02)
    size = (int(picture.width * scale), int(picture.height * scale))
    small = ImageEnhance.Brightness(picture).enhance(light).resize(size)
    edge = np.asarray(picture.resize((1, 1), Image.Resampling.BOX))[0, 0]
    canvas = Image.new("RGB", DRAWN_PX, tuple(int(each) for each in edge))
    shift = (by * chance.uniform(-0.01, 0.01, 2) * DRAWN_PX).astype(int)
    left, top = (int((whole - part) / 2) for whole, part in zip(DRAWN_PX, size, strict=True))
    canvas.paste(small, (left + int(shift[0]), top + int(shift[1])))
    grain = chance.normal(0, 3 * by, (DRAWN_PX[1], DRAWN_PX[0], 1))
    soft = np.asarray(canvas.filter(ImageFilter.GaussianBlur(by)), np.float64)
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def edited(picture: Image.Image, chance: np.random.Generator) -> Image.Image:
    """As a model that changes more: other contrast and tint, warped by a percent, sharpened."""
    levels = (np.asarray(picture, np.float64) / 255) ** np.exp(chance.uniform(-0.22, 0.22))
    tinted = np.clip(levels * (1 + chance.uniform(-0.05, 0.05, 3)) * 255, 0, 255)
    bent = warped(Image.fromarray(tinted.astype(np.uint8)), chance)
    amount = int(chance.uniform(50, 200))
    sharp = bent.filter(ImageFilter.UnsharpMask(radius=2, percent=amount, threshold=2))
    return opened(jpeg(redrawn(sharp, chance, by=1.5), quality=72))


def warped(picture: Image.Image, chance: np.random.Generator, cells: int = 4) -> Image.Image:
    """Each knot of a net inside of the picture moved by up to 0.8 % of its sides."""
    sides = np.array(picture.size)
    places = np.stack(np.meshgrid(*[np.linspace(0, 1, cells + 1)] * 2), axis=-1) * sides
    moved = places.copy()
    moved[1:-1, 1:-1] += chance.uniform(-0.008, 0.008, (cells - 1, cells - 1, 2)) * sides
    mesh = []
    for row, col in np.ndindex(cells, cells):
        box = (*places[row, col].astype(int), *places[row + 1, col + 1].astype(int))
        corners = [(row, col), (row + 1, col), (row + 1, col + 1), (row, col + 1)]
        mesh.append((tuple(map(int, box)), [float(v) for at in corners for v in moved[at]]))
    return picture.transform(picture.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)


# ------------------------------------------------------------------------------------- the table


def report(cases: Sequence[Case], *, each: bool) -> None:
    by_kind: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_kind[case.kind].append(case)
    print("| picture | of | no finding | findings |\n|---|---|---|---|")
    for kind, found in by_kind.items():
        said = Counter(finding for case in found for finding in case.findings)
        quiet = sum(not case.findings for case in found)
        words = ", ".join(f"{name} {count}" for name, count in said.most_common())
        print(f"| {kind} | {len(found)} | {quiet} | {words} |")
    if each:
        for case in cases:
            if bool(case.findings) != case.is_wrong:
                print(f"{case.kind}: {case.name}: {', '.join(case.findings) or 'no finding'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--people", type=Path, action="append", default=[])
    parser.add_argument("--garments", type=Path, action="append", default=[])
    parser.add_argument("--half", type=int, choices=(1, 2), help="Only every second person.")
    parser.add_argument("--each", action="store_true", help="Name every picture judged wrongly.")
    args = parser.parse_args()
    model = require_model(load_settings())
    people, garments = photos([*PEOPLE, *args.people]), photos([*GARMENTS, *args.garments])
    if args.half:
        people = dict(list(people.items())[args.half - 1 :: 2])
    for cases in (input_cases, result_cases):
        report(list(cases(people, garments, model)), each=args.each)
        print()


if __name__ == "__main__":
    main()
