"""docs/images/job-life.svg is what its script draws."""

from scripts.job_life import PICTURE, picture


def test_the_picture_is_what_the_script_draws() -> None:
    assert PICTURE.read_text("utf-8") == picture(), "run: make reference"
