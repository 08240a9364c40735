"""docs/images/job-life.svg is up to date with its script."""

from scripts.job_life import PICTURE, picture


def test_the_picture_is_what_the_script_draws() -> None:
    assert PICTURE.read_text("utf-8") == picture(), "run: make reference"
