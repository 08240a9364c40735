"""
The prompt used when a job has none of its own.

Short labelled lines; every picture is named by its position; what must stay comes before what may
change. Plain words throughout: the language of fashion pages causes false refusals.
"""

from typing import Final

_TASK: Final = "Task: virtual try-on. Dress the person of image 1 in the given clothing."
_ALONE: Final = (
    "Image 1: the person, and beside the person the clothing to put on. Show only the person."
)
_PERSON: Final = "Image 1: the person."
_GARMENT_ROLE: Final = "Image 2: the garment to put on; it replaces what is worn in its place."
_KEEP: Final = (
    "Keep exactly as in image 1: face, expression, hair, skin tone, body shape, pose, hands, "
    "background, framing, camera angle, light."
)
_GARMENT: Final = (
    "Garment: same cut, length, colour, pattern, fabric and details as in its picture. Take "
    "nothing else from that picture: no other person, no hanger, no background."
)
_FIT: Final = (
    "Fit: natural size, drape and folds for this pose. Hair, hands and arms in front of the "
    "clothing stay in front of it. Shadows follow the light of image 1."
)
_NEVER: Final = "Never add accessories, text, logos or watermarks that no picture shows."
_RESULT: Final = "Result: one photorealistic photo of the same person, framed as image 1."


def default_prompt(pictures: int) -> str:
    """
    The prompt for a try-on with this many pictures: the person, one garment, then accessories.

    A single picture is taken to show the person and the clothing side by side.
    """
    accessories = range(3, pictures + 1)
    return "\n".join(
        [
            _TASK,
            *([_PERSON, _GARMENT_ROLE] if pictures > 1 else [_ALONE]),
            *(
                f"Image {number}: an accessory to wear in its usual place."
                for number in accessories
            ),
            _KEEP,
            f"Change only the clothing{' and the given accessories' if accessories else ''}.",
            _GARMENT,
            _FIT,
            _NEVER,
            _RESULT,
        ]
    )


def try_on_sentence() -> str:
    """The sentence that bfl:flux@vto needs, in the form that its maker documents."""
    return "The person of image 1, keeping face and pose exactly, wearing the clothing of image 2."
