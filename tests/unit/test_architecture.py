"""The shape of the package, as docs/architecture.md draws it, read from the sources themselves."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import wearon_cli

ROOT = Path(wearon_cli.__file__).parent
PACKAGE = ROOT.name

#: Arrows point down only: a layer imports itself and what stands below it.
LAYERS = ("core", "adapters", "wiring", "runtime", "cli", "commands", "app")

#: All that the rules may lean on beside the standard library.
CORE_LIBRARIES = {"PIL", "numpy", "pydantic", "pydantic_core", "pydantic_settings", "structlog"}

#: Folders of the rules that everything there may use, beside the modules directly in `core`.
COMMON = {"pictures"}
#: Wings of the rules that look at others: operators see what jobs did, a preview needs the pose.
MAY_LOOK_AT = {"operator": {"jobs", "body"}, "preview": {"body"}}

#: Who may touch the process environment, and why.
ENVIRONMENT_READERS = {
    "core.settings": "reads the settings",
    "runtime.all.supervisor": "builds the environment of the processes it starts",
    "runtime.all.local_stack": "builds the environment of the processes it starts",
    "adapters.pose.model_file": "hands pip its user's own settings",
}

#: The only places where an exception of any kind is caught, and what becomes of it.
CATCH_ALL = {
    "app": "the top of the command line: told, and the process ends",
    "core.events": "an event that cannot be counted: logged, and the job that logs it goes on",
    "core.jobs.runner": "the worker's loop: logged, the job settled, and the loop goes on",
    "runtime.worker.job_loop": "handed over to the thread that waits for this one's start",
}

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its name below the package, parsed."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__")
        found[name.rstrip(".")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def imports(name: str) -> Iterator[str]:
    """Full names of what a module imports, anywhere in it."""
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            base = node.module or ""
            for alias in node.names:
                below = f"{base}.{alias.name}".removeprefix(f"{PACKAGE}.")
                yield f"{PACKAGE}.{below}" if below in modules() else base


def own_imports(name: str) -> set[str]:
    """Modules of the package that a module imports, by their names below the package."""
    inside = (each for each in imports(name) if each.startswith(f"{PACKAGE}."))
    return {each.removeprefix(f"{PACKAGE}.") for each in inside}


def layer(name: str) -> str:
    return name.partition(".")[0]


def layered() -> list[str]:
    return [name for name in modules() if layer(name) in LAYERS]


def test_every_module_belongs_to_a_layer() -> None:
    assert set(modules()) - set(layered()) == {"", "__main__"}


@pytest.mark.parametrize("name", layered())
def test_arrows_point_down_only(name: str) -> None:
    below = LAYERS[: LAYERS.index(layer(name)) + 1]
    assert {each for each in own_imports(name) if layer(each) not in below} == set()


@pytest.mark.parametrize("name", [each for each in layered() if layer(each) == "core"])
def test_the_rules_know_no_vendor(name: str) -> None:
    tops = {each.partition(".")[0] for each in imports(name)}
    assert tops - set(sys.stdlib_module_names) - {PACKAGE} <= CORE_LIBRARIES


@pytest.mark.parametrize("name", [each for each in layered() if layer(each) == "core"])
def test_the_wings_of_the_rules_stand_on_common_ground(name: str) -> None:
    wing = name.split(".")[1] if name.count(".") > 1 else ""
    others = (
        {each.split(".")[1] for each in own_imports(name) if each.count(".") > 1} - {wing} - COMMON
    )
    assert others <= MAY_LOOK_AT.get(wing, set())


def test_no_module_imports_itself_through_others() -> None:
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for each in sorted(own_imports(name)):
            if each in modules():
                visit(each, (*trail, name))
        done.add(name)

    for name in modules():
        visit(name, ())


@pytest.mark.parametrize("name", modules())
def test_the_environment_is_read_in_one_place(name: str) -> None:
    touched = {
        node.attr
        for node in ast.walk(modules()[name])
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv"), ("os", "putenv")}
    }
    assert not touched or name in ENVIRONMENT_READERS


def catches_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    named = ast.unparse(handler.type)
    return "Exception" in named.split(".") or "BaseException" in named.split(".")


@pytest.mark.parametrize("name", modules())
def test_nothing_swallows_every_exception(name: str) -> None:
    handlers = [node for node in ast.walk(modules()[name]) if isinstance(node, ast.ExceptHandler)]
    broad = {
        handler.lineno
        for handler in handlers
        # One that ends with `raise` only tidies up.
        if catches_all(handler) and not isinstance(handler.body[-1], ast.Raise)
    }
    assert not broad or name in CATCH_ALL


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring; a command's docstring is its manual page."""
    doc = function.body[0] if ast.get_docstring(function) else None
    doc_lines = (doc.end_lineno or 0) - doc.lineno + 1 if doc else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc_lines


@pytest.mark.parametrize("name", modules())
def test_modules_and_functions_stay_short(name: str) -> None:
    tree = modules()[name]
    assert max((node.end_lineno or 0 for node in tree.body), default=0) <= MAX_MODULE_LINES
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = {each.name: code_lines(each) for each in functions}
    assert {name: count for name, count in lines.items() if count > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("name", [each for each in modules() if each != "core.errors"])
def test_the_tree_of_errors_grows_in_one_file(name: str) -> None:
    tree = {each.name for each in modules()["core.errors"].body if isinstance(each, ast.ClassDef)}
    classes = [each for each in ast.walk(modules()[name]) if isinstance(each, ast.ClassDef)]
    bases = {ast.unparse(base).rpartition(".")[2] for each in classes for base in each.bases}
    assert bases & (tree - {"Reaction"}) == set()


@pytest.mark.parametrize("name", modules())
def test_every_module_says_what_it_knows(name: str) -> None:
    assert ast.get_docstring(modules()[name])
