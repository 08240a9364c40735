"""
What a pixel process for checks can do, by name. Runs in the child; the network loads at first use.

The verdict is made here too, not in the worker: an error costs a check, never the job.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from wearon_cli.adapters.pose.people_finder import PeopleFinder
from wearon_cli.core.checks.colours import Rgb
from wearon_cli.core.checks.findings import PictureFinding, Report
from wearon_cli.core.checks.people import Person, person_of
from wearon_cli.core.checks.rules import Looked, glimpsed_findings, is_blank, result_findings
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.pictures.prepare import SMALL_PX

#: Why a check could not look for people.
NO_MODEL: Final = "no_pose_model"


def check_inputs(pictures: Sequence[bytes], model: Path) -> Report:
    """
    Check the pictures of a job, the person's first.

    Args:
        pictures: The small copies of the prepared ones, JPEG files.
        model: The pose model.
    """
    person, *others = pictures
    findings = []
    if person in others:
        findings.append(PictureFinding.SAME_PICTURE)
    if any(is_blank(_decoded(each)) for each in others):
        findings.append(PictureFinding.GARMENT_BLANK)
    photo = _decoded(person)
    if is_blank(photo):
        return Report(findings=(PictureFinding.PHOTO_BLANK, *findings))
    try:
        people = finder(model).find(photo)
        if not people:
            glimpsed = finder(model).glimpse(photo)
            findings.append(PictureFinding.PERSON_UNCLEAR if glimpsed else PictureFinding.NO_PERSON)
    except ConfigError:
        return Report(findings=tuple(findings), not_checked=NO_MODEL)
    seen = {"people": [each.to_json() for each in people]}
    return Report(findings=tuple(findings), seen=seen)


def check_result(
    drawn: bytes, person: bytes, garment: bytes | None, seen: Mapping[str, Any], model: Path
) -> Report:
    """
    Check a generated picture.

    Args:
        drawn: A JPEG file, verified.
        person: The person's photo, its small copy.
        garment: The same of the garment's; None: it is in the person's photo.
        seen: Who is in the person's photo, from `check_inputs`; empty: found now.
        model: The pose model.
    """
    picture, photo = _decoded(drawn), _decoded(person)
    if is_blank(picture):
        return Report(findings=(PictureFinding.RESULT_BLANK,))
    try:
        people = tuple(map(person_of, seen["people"])) if seen else finder(model).find(photo)
        if not people:
            return Report(not_checked=PictureFinding.PERSON_UNCLEAR.value)
        after = finder(model).find(picture)
        glimpsed = None if after else finder(model).glimpse(picture)
    except ConfigError:
        return Report(not_checked=NO_MODEL)
    before = Looked(rgb=photo, people=people)
    if glimpsed:
        findings = glimpsed_findings(before, Looked(rgb=picture, people=[glimpsed]))
        unclear = None if findings else PictureFinding.PERSON_UNCLEAR.value
        return Report(findings=findings, not_checked=unclear)
    cloth = _decoded(garment) if garment else None
    return Report(findings=result_findings(before, Looked(rgb=picture, people=after), cloth))


def found_in(jpeg: bytes, model: Path) -> tuple[Person, ...]:
    """
    Who is found in a picture.

    Raises:
        ConfigError: The network cannot be loaded.
    """
    return finder(model).find(_decoded(jpeg))


@cache
def finder(model: Path) -> PeopleFinder:
    """The network of this process."""
    return PeopleFinder(model)


def _decoded(jpeg: bytes) -> Rgb:
    """At most `SMALL_PX`: a JPEG of 1024 is decoded at a quarter for half of what a half costs."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        scale = max(1.0, max(picture.size) / SMALL_PX)
        picture.draft("RGB", (int(picture.width / scale), int(picture.height / scale)))
        small = picture.convert("RGB")
    small.thumbnail((SMALL_PX, SMALL_PX), Image.Resampling.BOX)
    return np.asarray(small)


def _load(_data: bytes, *, model: str) -> tuple[dict[str, Any], bytes]:
    """Load the network; without a model there is nothing to load."""
    with suppress(ConfigError):
        finder(Path(model)).find(np.zeros((SMALL_PX, SMALL_PX, 3), np.uint8))
    return {}, b""


def _inputs(data: bytes, *, sizes: Sequence[int], model: str) -> tuple[dict[str, Any], bytes]:
    return _told(check_inputs(_parts(data, sizes), Path(model)))


def _result(
    data: bytes, *, sizes: Sequence[int], seen: Mapping[str, Any], model: str
) -> tuple[dict[str, Any], bytes]:
    drawn, person, *garment = _parts(data, sizes)
    cloth = garment[0] if garment else None
    return _told(check_result(drawn, person, cloth, seen, Path(model)))


def _parts(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Split the concatenated pictures."""
    ends = np.cumsum([0, *sizes]).tolist()
    return [data[start:end] for start, end in pairwise(ends)]


def _told(report: Report) -> tuple[dict[str, Any], bytes]:
    findings = [each.value for each in report.findings]
    note = {"findings": findings, "not_checked": report.not_checked, "seen": dict(report.seen)}
    return note, b""


JOBS: Final[Mapping[str, Callable[..., tuple[dict[str, Any], bytes]]]] = {
    "load": _load,
    "check_inputs": _inputs,
    "check_result": _result,
}
