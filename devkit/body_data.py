"""
The data for fitting and evaluating body measuring: rendered bodies and surveyed people.

One folder holds the renders (photos, `side/` photos, bad ones under `hard/KIND/`, and
`ground_truth.csv`), another the two public CSV files of ANSUR II. Neither is part of the product.
"""

import argparse
import csv
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wearon_cli.core.body.gates import the_person
from wearon_cli.core.body.photo import read_photo
from wearon_cli.core.body.pose import PoseReader, PoseReading
from wearon_cli.core.body.profile import measure_side
from wearon_cli.core.body.silhouette import measure_front

Array = NDArray[np.float64]

#: Columns of ANSUR II (mm; weight in kg x 10) by the names used here.
ANSUR_COLUMNS = {
    "stature": "stature",
    "weight": "weightkg",
    "chest": "chestcircumference",
    "waist": "waistcircumference",
    "hip": "buttockcircumference",
    "shoulder": "biacromialbreadth",
    "inseam": "crotchheight",
    "shoulders_breadth": "bideltoidbreadth",
    "chest_breadth": "chestbreadth",
    "waist_breadth": "waistbreadth",
    "hip_breadth": "hipbreadth",
    "chest_depth": "chestdepth",
    "waist_depth": "waistdepth",
    "hip_depth": "buttockdepth",
}
TRUTH_FILE = "ground_truth.csv"
ANSUR_FILES = {"ANSUR_II_MALE_Public.csv": 1.0, "ANSUR_II_FEMALE_Public.csv": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """Bodies with known measures: columns by name, one entry per body, in cm and kg."""

    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.columns["stature"])

    def table(self, names: Sequence[str]) -> Array:
        return np.column_stack([self.columns[name] for name in names])


@dataclass(frozen=True, slots=True, kw_only=True)
class Renders(Bodies):
    """Rendered bodies: true measures and the features of their photos, together in `columns`."""

    ids: tuple[str, ...]

    def take(self, which: NDArray[np.intp]) -> "Renders":
        """A subset."""
        return Renders(
            ids=tuple(self.ids[i] for i in which),
            columns={name: column[which] for name, column in self.columns.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders of the data."""

    bodies: Path
    ansur: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--bodies` and `--ansur`, or WEARON_BODIES and WEARON_ANSUR."""
    for name, what in (("bodies", "renders and ground_truth.csv"), ("ansur", "ANSUR II's files")):
        given = os.environ.get(f"WEARON_{name.upper()}")
        default = Path(given) if given else None
        parser.add_argument(f"--{name}", type=Path, default=default, help=f"folder with {what}")


def data_folders(args: argparse.Namespace) -> Folders:
    """The data's folders; exits with a sentence if they are missing."""
    wanted = {"bodies": (TRUTH_FILE,), "ansur": tuple(ANSUR_FILES)}
    for name, files in wanted.items():
        folder = getattr(args, name)
        if folder is None:
            sys.exit(
                f"No data: name the folder that holds {' and '.join(files)} with "
                f"--{name} DIR or WEARON_{name.upper()}=DIR (see docs/measuring.md)."
            )
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            sys.exit(f"{folder} holds no {' and no '.join(missing)}: this is not that data.")
    return Folders(bodies=args.bodies, ansur=args.ansur)


def load_people(folder: Path) -> Bodies:
    """ANSUR II, men and women together; column `male` is 1 or 0."""
    rows: list[list[float]] = []
    for name, male in ANSUR_FILES.items():
        with (folder / name).open(encoding="latin-1", newline="") as lines:
            for row in csv.DictReader(lines):
                rows.append([*(float(row[c]) / 10 for c in ANSUR_COLUMNS.values()), male])
    return Bodies(columns=dict(zip([*ANSUR_COLUMNS, "male"], np.array(rows).T, strict=True)))


def load_truth(folder: Path) -> list[dict[str, str]]:
    with (folder / TRUTH_FILE).open(newline="") as lines:
        return list(csv.DictReader(lines))


def load_renders(folder: Path, reader: PoseReader) -> Renders:
    """True measures and photo features of every render. Gates are not applied: all bodies count."""
    rows: list[dict[str, float]] = []
    ids: list[str] = []
    for truth in load_truth(folder):
        features = _features(folder, truth["id"], float(truth["stature_cm"]), reader)
        if features is None:
            sys.stderr.write(f"{truth['id']}: no outline, left out\n")
            continue
        ids.append(truth["id"])
        rows.append({**_truth_columns(truth), **features})
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Renders(ids=tuple(ids), columns=columns)


def _truth_columns(truth: Mapping[str, str]) -> dict[str, float]:
    numbers = {k[:-3]: float(v) for k, v in truth.items() if k.endswith(("_cm", "_kg"))}
    return {**numbers, "male": float(truth["sex"] == "M")}


def _features(
    bodies: Path, body_id: str, height_cm: float, reader: PoseReader
) -> dict[str, float] | None:
    """The features of a body's two photos, one from the front and one from the side."""

    def person(path: Path) -> PoseReading:
        return the_person(reader.read(read_photo(path.read_bytes())))

    front = measure_front(person(bodies / f"{body_id}.jpg"), height_cm=height_cm)
    side = measure_side(person(bodies / "side" / f"{body_id}.jpg"), height_cm=height_cm)
    if front is None or side is None:
        return None
    return {**front.features, **side.features}
