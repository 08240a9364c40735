"""docs/security.md names every address that the code can talk to."""

import ast
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import wearon_cli
from scripts.configuration import environment_name
from wearon_cli.core.settings import Settings

ROOT = Path(wearon_cli.__file__).parent
DOCUMENT = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
TABLE = DOCUMENT.partition("## Every address")[2].partition("## Photos")[0]

#: Hosts in the code that nobody connects to, and what they are.
NOT_TALKED_TO = {
    "photos.example.com": "an example in the HTTP reference",
    "gone.invalid": "stands in a payload for a photo that is gone",
    "127.0.0.1": "this machine",
    "ns.adobe.com": "the name of XMP in a file",
    "cv.iptc.org": "the name of the source types in XMP",
    "iptc.org": "a namespace in XMP",
    "www.w3.org": "a namespace in XMP",
    "host": "a form of address in a hint",
    "...": "the same",
    "<project>.supabase.co": "the same",
}


def hosts(source: Path) -> set[str]:
    """Hosts of the addresses in a module's strings, its docstrings left out."""
    nodes = list(ast.walk(ast.parse(source.read_text("utf-8"))))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    strings = (
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and id(node) not in docstrings
    )
    texts = (each.decode("latin-1") if isinstance(each, bytes) else each for each in strings)
    urls = (
        url
        for text in texts
        if isinstance(text, str)
        for url in re.findall(r"\b(?:https?|rediss?|wss?)://[^\s\"'`\0]+", text)
    )
    return {urlsplit(url).hostname or "" for url in urls} - {""}


@pytest.mark.parametrize("source", sorted(ROOT.rglob("*.py")), ids=lambda path: path.stem)
def test_every_host_in_the_code_is_in_the_table(source: Path) -> None:
    unknown = hosts(source) - NOT_TALKED_TO.keys()
    assert {host for host in unknown if host not in TABLE} == set()


def test_every_setting_that_names_an_address_is_in_the_table() -> None:
    names = {
        environment_name(name, field)
        for name, field in Settings.model_fields.items()
        if name.endswith(("_url", "_origins", "_origin", "_uri", "_endpoint"))
    }
    assert {"REDIS_URL", "SUPABASE_URL", "OPENAI_BASE_URL"} <= names
    assert {name for name in names if name not in TABLE} == set()


def test_every_excused_host_is_in_the_code() -> None:
    named = {host for source in ROOT.rglob("*.py") for host in hosts(source)}
    assert NOT_TALKED_TO.keys() <= named
