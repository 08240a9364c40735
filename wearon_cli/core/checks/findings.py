"""
What a check may find wrong with a picture, and what a shopper is told to do about it.

Before money is spent, only a certain finding is refused: a false refusal costs a sale and the
shopper's trust.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from wearon_cli.core.errors import PhotoRefused

#: Name of the timeline event with findings.
SUSPECT: Final = "picture_suspect"


class Finding(StrEnum):
    """A finding. Public: timeline, metrics, log and `wearon check` use these names."""

    # Of the pictures that a job brings.
    PHOTO_BLANK = "photo_blank"  # the person's photo is one flat colour
    PERSON_UNCLEAR = "person_unclear"  # a person is found only at a very low confidence
    NO_PERSON = "no_person"  # no person is found, even at a very low confidence
    GARMENT_BLANK = "garment_blank"  # a garment's or accessory's picture is one flat colour
    SAME_PICTURE = "same_picture"  # the garment's picture is the person's
    # Of the picture that was drawn.
    RESULT_BLANK = "result_blank"
    PERSON_GONE = "person_gone"  # the photo shows a person, the result none
    MORE_PEOPLE = "more_people"  # than went in
    FEWER_PEOPLE = "fewer_people"  # of several people, some are missing
    FRAMED_OTHERWISE = "framed_otherwise"  # cut off, much nearer or much further away
    OTHER_PERSON = "other_person"  # another pose, or another head
    NOT_APPLIED = "not_applied"  # the clothes are unchanged, and unlike the garment


#: Certain findings: only these are refused before money is spent.
CERTAIN: Final = frozenset(
    {Finding.PHOTO_BLANK, Finding.NO_PERSON, Finding.GARMENT_BLANK, Finding.SAME_PICTURE}
)

#: For the operator; and for the shopper, where it is refused.
WORDS: Final[Mapping[Finding, tuple[str, str]]] = {
    Finding.PHOTO_BLANK: (
        "the person's photo is one flat colour",
        "The photo of you shows only one colour. Please take a new one.",
    ),
    Finding.NO_PERSON: (
        "there is no person in the person's photo",
        "We could not find a person in your photo. Please use one that shows you from the front, "
        "at least from head to hips.",
    ),
    Finding.GARMENT_BLANK: (
        "the picture of a garment is one flat colour",
        "The picture of the clothing shows only one colour. Please choose another one.",
    ),
    Finding.SAME_PICTURE: (
        "the picture of the garment is the person's photo",
        "Both pictures are the same. Please use one photo of you and one of the clothing.",
    ),
    Finding.PERSON_UNCLEAR: ("a person in the photo is hard to recognize", ""),
    Finding.RESULT_BLANK: ("the drawn picture is one flat colour", ""),
    Finding.PERSON_GONE: ("there is no person in the drawn picture", ""),
    Finding.MORE_PEOPLE: ("the drawn picture shows more people than the photo", ""),
    Finding.FEWER_PEOPLE: ("the drawn picture shows fewer people than the photo", ""),
    Finding.FRAMED_OTHERWISE: ("the drawn picture is framed differently from the photo", ""),
    Finding.OTHER_PERSON: ("the drawn picture shows another person or pose", ""),
    Finding.NOT_APPLIED: ("the clothes are those in the photo, not the garment", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one check."""

    findings: tuple[Finding, ...] = ()
    not_checked: str | None = None  # why nothing, or not everything, could be checked
    #: Where the people of the person's photo are, for the check of the drawn picture. JSON.
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def certain(self) -> tuple[Finding, ...]:
        """Those that are refused before money is spent."""
        return tuple(each for each in self.findings if each in CERTAIN)


def refusal(findings: Sequence[Finding]) -> PhotoRefused:
    """The error for certain findings of input pictures; the shopper is told the first one."""
    detail, to_shopper = WORDS[findings[0]]
    return PhotoRefused(detail, reason=findings[0].value, shopper_message=to_shopper)
