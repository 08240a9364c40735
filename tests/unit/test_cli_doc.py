"""docs/cli.md equals the commands' help; commands, variables and links on all pages exist."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scripts.command_pages import PAGE, page
from scripts.configuration import environment_name
from wearon_cli.app import COMMANDS
from wearon_cli.core.settings import Settings

ROOT = Path(__file__).parents[2]
#: Where the benchmark of bodies finds its data.
BENCHMARK_DATA = {"WEARON_BODIES", "WEARON_ANSUR"}
SHOWN = re.compile(r"^    (?:\$ )?(?:docker .*exec (?:-T )?\w+ )?wearon (\S[^#|;&\n]*)", re.M)


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def reference() -> dict[str, str]:
    """The section of each command, by its name: "dead-letters list"."""
    parts = page().split("\n### `wearon ")[1:]
    return {part.partition("`")[0]: part for part in parts}


def shown() -> Iterator[tuple[str, str]]:
    for document in documents():
        if document != PAGE:
            for words in sorted(set(SHOWN.findall(document.read_text("utf-8")))):
                yield document.name, words


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: make reference"


def test_every_command_has_a_section_with_its_options() -> None:
    assert {name.split()[0] for name in reference()} == set(COMMANDS)
    assert "`--max-cost USD`" in reference()["replay-task"]
    assert "`WEARON_DEAD_LETTERS_LIST_LIMIT`" in reference()["dead-letters list"]


@pytest.mark.parametrize(("document", "words"), list(shown()))
def test_a_command_that_a_page_shows_exists_and_has_these_options(
    document: str, words: str
) -> None:
    options = {word.partition("=")[0] for word in words.split() if word.startswith("--")}
    rest = [word for word in words.split() if not word.startswith("-")]
    if not rest or rest[0] == "COMMAND":
        assert options <= {"--help", "--version", "--install-completion"}
        return
    name = next((each for each in (" ".join(rest[:2]), rest[0]) if each in reference()), "")
    assert name, f"{document} shows `wearon {words}`"
    known = set(re.findall(r"--[a-z-]+", reference()[name].partition("| environment |")[2]))
    assert options <= known | {"--json", "--help"}, f"{document} shows `wearon {words}`"


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_a_variable_that_a_page_names_exists(document: Path) -> None:
    settings = {environment_name(name, field) for name, field in Settings.model_fields.items()}
    deployed = set(re.findall(r"^(\w+)=", (ROOT / "deploy/.env.example").read_text("utf-8"), re.M))
    options = set(re.findall(r"`(WEARON_\w+)`", page()))
    named = set(re.findall(r"\bWEARON_[A-Z0-9_]*[A-Z0-9]\b", document.read_text("utf-8")))
    assert named <= settings | deployed | options | BENCHMARK_DATA | {"WEARON_ENV_FILE"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_a_link_outside_of_the_site_leads_to_a_file(name: str) -> None:
    """Links between the site's pages are checked when it is built."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
