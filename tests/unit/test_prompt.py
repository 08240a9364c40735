"""The prompt sent when a job has none."""

import pytest

from wearon_cli.core.image_models import MAX_PROMPT_CHARS
from wearon_cli.core.prompt import default_prompt


@pytest.mark.parametrize("pictures", range(1, 11))
def test_every_picture_is_named_once_by_its_position_with_the_person_first(pictures: int) -> None:
    lines = default_prompt(pictures).splitlines()
    named = [line.partition(":")[0] for line in lines if line.startswith("Image ")]
    assert named == [f"Image {number}" for number in range(1, pictures + 1)]
    assert "the person" in next(line for line in lines if line.startswith("Image 1"))


def test_a_garment_comes_second_and_accessories_after_it() -> None:
    lines = default_prompt(4).splitlines()
    assert "garment" in lines[2]
    assert [line for line in lines if "an accessory" in line] == lines[3:5]


@pytest.mark.parametrize("pictures", [1, 2])
def test_without_accessories_none_may_be_added(pictures: int) -> None:
    prompt = default_prompt(pictures)
    assert "Change only the clothing." in prompt
    assert "Never add accessories" in prompt


def test_the_features_that_identify_a_person_must_not_change() -> None:
    prompt = default_prompt(2)
    for kept in ("face", "hair", "skin tone", "body shape", "pose", "hands", "background", "light"):
        assert kept in prompt


def test_it_is_short_enough_for_any_number_of_pictures() -> None:
    assert len(default_prompt(16)) < MAX_PROMPT_CHARS / 10
