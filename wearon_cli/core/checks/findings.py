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


class PictureFinding(StrEnum):
    """A finding. Public: timeline, metrics, log and `wearon check` use these names."""

    # Of the pictures that a job brings.
    PHOTO_BLANK = "photo_blank"  # the person's photo is one flat colour
    PERSON_UNCLEAR = "person_unclear"  # a person is found only at a very low confidence
    NO_PERSON = "no_person"  # no person is found, even at a very low confidence
    GARMENT_BLANK = "garment_blank"  # a garment's or accessory's picture is one flat colour
    SAME_PICTURE = "same_picture"  # the garment's picture is the person's
    # Of the generated picture.
    RESULT_BLANK = "result_blank"
    PERSON_GONE = "person_gone"  # the photo shows a person, the result none
    MORE_PEOPLE = "more_people"  # than went in
    FEWER_PEOPLE = "fewer_people"  # of several people, some are missing
    FRAMED_OTHERWISE = "framed_otherwise"  # cut off, much nearer or much further away
    OTHER_PERSON = "other_person"  # another pose, or another head
    NOT_APPLIED = "not_applied"  # the clothes are unchanged, and unlike the garment


#: Certain findings: only these are refused before money is spent.
CERTAIN: Final = frozenset(
    {
        PictureFinding.PHOTO_BLANK,
        PictureFinding.NO_PERSON,
        PictureFinding.GARMENT_BLANK,
        PictureFinding.SAME_PICTURE,
    }
)

#: For the operator; and for the shopper, where it is refused.
WORDS: Final[Mapping[PictureFinding, tuple[str, str]]] = {
    PictureFinding.PHOTO_BLANK: (
        "the person's photo is one flat colour",
        "The photo of you shows only one colour. Please take a new one.",
    ),
    PictureFinding.NO_PERSON: (
        "there is no person in the person's photo",
        "We could not find a person in your photo. Please use one that shows you from the front, "
        "at least from head to hips.",
    ),
    PictureFinding.GARMENT_BLANK: (
        "the picture of a garment is one flat colour",
        "The picture of the clothing shows only one colour. Please choose another one.",
    ),
    PictureFinding.SAME_PICTURE: (
        "the picture of the garment is the person's photo",
        "Both pictures are the same. Please use one photo of you and one of the clothing.",
    ),
    PictureFinding.PERSON_UNCLEAR: ("a person in the photo is hard to recognize", ""),
    PictureFinding.RESULT_BLANK: ("the generated picture is one flat colour", ""),
    PictureFinding.PERSON_GONE: ("there is no person in the generated picture", ""),
    PictureFinding.MORE_PEOPLE: ("the generated picture shows more people than the photo", ""),
    PictureFinding.FEWER_PEOPLE: ("the generated picture shows fewer people than the photo", ""),
    PictureFinding.FRAMED_OTHERWISE: ("the generated picture is framed unlike the photo", ""),
    PictureFinding.OTHER_PERSON: ("the generated picture shows another person or pose", ""),
    PictureFinding.NOT_APPLIED: ("the clothes are those in the photo, not the garment", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of one check."""

    findings: tuple[PictureFinding, ...] = ()
    not_checked: str | None = None  # why nothing, or not everything, could be checked
    #: Where the people of the person's photo are, for the check of the generated picture. JSON.
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def certain(self) -> tuple[PictureFinding, ...]:
        """Those that are refused before money is spent."""
        return tuple(each for each in self.findings if each in CERTAIN)


def refusal(findings: Sequence[PictureFinding]) -> PhotoRefused:
    """The error for certain findings of input pictures; the shopper is told the first one."""
    detail, to_shopper = WORDS[findings[0]]
    return PhotoRefused(
        detail,
        hint=f"the shopper reads: {to_shopper}",
        reason=findings[0].value,
        shopper_message=to_shopper,
    )
