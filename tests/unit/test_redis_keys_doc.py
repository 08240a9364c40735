"""docs/redis-keys.md equals adapters/redis/keys.py, and no other module defines a key."""

import ast
from pathlib import Path

import wearon_cli
from scripts.redis_keys import PAGE, page
from wearon_cli.adapters.redis import keys

ROOT = Path(wearon_cli.__file__).parent


def test_the_page_is_what_the_table_says() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "run: python -m scripts.redis_keys"


def test_every_key_is_described_once() -> None:
    patterns = [key.pattern for key in keys.KEYS]
    assert len(set(patterns)) == len(patterns)
    assert all(key.life and key.written_by and key.holds for key in keys.KEYS)


def test_no_other_module_defines_a_key() -> None:
    """A docstring may name a key: only other strings count."""
    literals = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in ROOT.rglob("*.py")
        if path != Path(keys.__file__)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("wearon:")
    ]
    assert literals == []
    assert not [path.name for path in ROOT.rglob("*.lua") if "wearon:" in path.read_text("utf-8")]
