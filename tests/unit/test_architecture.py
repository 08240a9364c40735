"""The structure of the package in docs/architecture.md, checked against the source code."""

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from typer import Typer

import wearon_cli
from wearon_cli.app import COMMANDS

ROOT = Path(wearon_cli.__file__).parent
PACKAGE = ROOT.name
REPOSITORY = Path(__file__).parents[2]
#: All folders outside the package that import it.
OUTSIDE = ("devkit", "tests", "benchmarks", "scripts")

#: Arrows point down only: a layer imports itself and the layers below it.
LAYERS = ("core", "adapters", "wiring", "runtime", "cli", "commands", "app")

#: Everything that `core` may import in addition to the standard library.
CORE_LIBRARIES = {"PIL", "dotenv", "numpy", "pydantic", "pydantic_core", "structlog"}

#: Folders of `core` that everything there may use, in addition to the modules directly in `core`.
COMMON = {"pictures"}
#: Packages of `core` that may import others: operators see jobs, previews and checks need the pose,
#: jobs have their pictures checked.
MAY_LOOK_AT = {
    "operator": {"jobs", "checks"},
    "preview": {"body"},
    "checks": {"body"},
    "jobs": {"checks"},
}

#: Who may touch the process environment and why.
ENVIRONMENT_READERS = {
    "core.settings": "reads the settings",
    "app": "has pydantic look for no plugins",
    "runtime.all.local_stack": "builds the environment of the processes it starts",
    "adapters.pose.model_file": "hands pip its user's own settings",
    "adapters.pose.mediapipe_import": "names a proxy to MediaPipe's native library",
}

#: The only places that catch every exception, and what they do with it.
CATCH_ALL = {
    "app": "the top of the command line: reported, and the process ends",
    "core.events": "an event that cannot be counted: logged, and the job that logs it goes on",
    "adapters.pixels.child": "one picture in a pixel process: told to its worker",
    "core.jobs.crashes": "a step of a job: logged; the job is settled, or goes on without the step",
    "runtime.worker.job_loop": "handed over to the thread that waits for this one's start",
}

#: Every other library of the package, and who may import it. Those that speak to one external
#: system belong to its adapter.
LIBRARIES = {
    "anyio": ("adapters.providers",),
    "c2pa": ("adapters.provenance",),
    "celery": ("adapters.celery_app",),
    "click": ("adapters.celery_app",),
    "cryptography": ("adapters.provenance",),
    "fastapi": ("runtime.http", "runtime.web"),
    "flatbuffers": ("adapters.pose",),
    "h11": ("runtime.http",),
    "httpcore": ("adapters.fetch",),
    "httpx": ("adapters.fetch", "adapters.providers", "adapters.supabase"),
    "jinja2": ("runtime.web",),
    "kombu": ("adapters.celery_app",),
    "limits": ("runtime.http",),
    "markupsafe": ("runtime.web",),
    "mediapipe": ("adapters.pose",),
    "platformdirs": ("adapters.pose",),
    "postgrest": ("adapters.supabase",),
    "prometheus_client": ("runtime.http", "runtime.ops"),
    "python_multipart": ("runtime.http",),
    "redis": ("adapters.redis",),
    "rich": ("cli", "commands"),
    "sqlite3": ("adapters.local",),
    "starlette": ("runtime.http", "runtime.web"),
    "storage3": ("adapters.supabase",),
    "supabase": ("adapters.supabase",),
    "typer": ("app", "cli", "commands"),
    "uvicorn": ("runtime.http", "runtime.web"),
}
#: Who else may, and why.
LIBRARY_EXCEPTIONS = {
    ("runtime.worker.controller", "celery"): "it extends Celery's own worker: steps, pool, control",
    ("runtime.worker.watchdog", "redis"): "blocking: it watches the event loop from outside",
}
#: Adapters that others may import: code shared by two stores, and the guarded download.
SHARED_ADAPTERS = {"rows", "fetch"}
#: Adapters outside the folders, and the adapters whose keys they need.
ADAPTER_EXCEPTIONS = {
    ("celery_app", "redis"): "Celery's queue is one of our Redis keys",
    ("pose", "pixels"): "checks run in a pixel process of their own",
}

#: What every process may use, and which process uses another's parts, and why.
RUNTIME_COMMON = {"events", "ops"}
RUNTIME_EXCEPTIONS = {("web", "http"): "one way to listen, and one set of limits on connections"}

#: Commands that run another one, and why.
COMMAND_EXCEPTIONS = {("demo", "try_on"): "a demo is a try-on of the bundled pictures"}
#: Public names besides the command itself that still have to move to `cli`.
COMMAND_EXTRAS = {
    "replay_task": {"ReplayCommand", "run"},
    "try_on": {"TryOnCommand", "run"},
}

#: Conditions of statements outside of functions that hold in type checkers and programs only.
HARMLESS_TESTS = {"TYPE_CHECKING", "__name__ == '__main__'"}

#: Public classes of one name.
SHARED_NAMES = {"PhotoRefused": ["core.errors", "runtime.events"]}  # the event of that error

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50
#: Modules that may be longer, and why.
LONG_MODULES = {"core.errors": "one tree in one file: a class is a few lines and is read with it"}


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


def names_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    """What an import statement names, in full."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "relative import"
    return [f"{node.module}.{alias.name}" for alias in node.names]


def imported_by(path: Path) -> set[str]:
    """Full names that a file outside the package imports, anywhere in it."""
    statements = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    )
    return {name for node in statements for name in names_of(node)}


def files_of(folder: str) -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


def own_imports(name: str) -> set[str]:
    """Modules of the package that a module imports, by their names below the package."""
    inside = (each for each in imports(name) if each.startswith(f"{PACKAGE}."))
    return {each.removeprefix(f"{PACKAGE}.") for each in inside}


def layer(name: str) -> str:
    return name.partition(".")[0]


def layered() -> list[str]:
    return [name for name in modules() if layer(name) in LAYERS]


def of_core() -> list[str]:
    return [name for name in modules() if layer(name) == "core"]


def tops_of(name: str) -> set[str]:
    """The packages that a module imports from."""
    return {each.partition(".")[0] for each in imports(name)}


def broken_by[T: (str, Path)](
    violations: Callable[[T], object], among: Iterable[T]
) -> dict[T, object]:
    """
    What breaks a rule, for each module that breaks it.

    One test for each rule, not for each rule and module: these are thousands, and every process
    that runs tests collects them all.
    """
    names = list(among)
    assert names, "the rule is about no module"
    return {name: found for name in names if (found := violations(name))}


def test_every_module_belongs_to_a_layer() -> None:
    assert set(modules()) - set(layered()) == {"", "__main__"}


def test_arrows_point_down_only() -> None:
    def above(name: str) -> set[str]:
        below = LAYERS[: LAYERS.index(layer(name)) + 1]
        return {each for each in own_imports(name) if layer(each) not in below}

    assert broken_by(above, layered()) == {}


def test_core_imports_no_vendor_library() -> None:
    allowed = CORE_LIBRARIES | set(sys.stdlib_module_names) | {PACKAGE}
    assert broken_by(lambda name: tops_of(name) - allowed, of_core()) == {}


def test_a_library_is_imported_where_it_belongs() -> None:
    """One that is new belongs into `LIBRARIES`, with the adapter or process that it is for."""
    anywhere = CORE_LIBRARIES | (set(sys.stdlib_module_names) - set(LIBRARIES)) | {PACKAGE}

    def is_at_home(name: str, library: str) -> bool:
        homes = LIBRARIES.get(library, ())
        return any(f"{name}.".startswith(f"{home}.") for home in homes)

    def away(name: str) -> set[str]:
        return {
            library
            for library in tops_of(name) - anywhere
            if not is_at_home(name, library) and (name, library) not in LIBRARY_EXCEPTIONS
        }

    assert broken_by(away, layered()) == {}


def test_what_is_allowed_is_needed() -> None:
    """An exception that nobody needs any more would let the next one in."""
    for name, library in LIBRARY_EXCEPTIONS:
        assert library in {each.partition(".")[0] for each in imports(name)}, (name, library)
    for own, other in ADAPTER_EXCEPTIONS:
        assert (own, other) in neighbours("adapters")
    for own, other in RUNTIME_EXCEPTIONS:
        assert (own, other) in neighbours("runtime")
    for own, other in COMMAND_EXCEPTIONS:
        assert (own, other) in neighbours("commands")
    for wing, others in MAY_LOOK_AT.items():
        assert {(wing, other) for other in others} <= neighbours("core")
    for name in ENVIRONMENT_READERS:
        assert touches_environment(name)
    for name in CATCH_ALL:
        assert any(catches_all(each) for each in ast.walk(modules()[name]))


def neighbours(layer_name: str) -> set[tuple[str, str]]:
    """Pairs of parts of a layer of which the first imports the second."""
    found = set()
    for name in modules():
        if name.startswith(f"{layer_name}."):
            own = name.split(".")[1]
            inside = (each for each in own_imports(name) if each.startswith(f"{layer_name}."))
            found |= {(own, each.split(".")[1]) for each in inside}
    return {(own, other) for own, other in found if own != other}


def test_an_adapter_leans_on_no_other_vendors_adapter() -> None:
    others = {pair for pair in neighbours("adapters") if pair[1] not in SHARED_ADAPTERS}
    assert others - set(ADAPTER_EXCEPTIONS) == set()


def test_a_process_uses_no_parts_of_another() -> None:
    others = {pair for pair in neighbours("runtime") if pair[1] not in RUNTIME_COMMON}
    assert others - set(RUNTIME_EXCEPTIONS) == set()


def test_a_command_imports_no_other_command() -> None:
    """What two share belongs into `cli`."""
    assert neighbours("commands") - set(COMMAND_EXCEPTIONS) == set()


def public_in(tree: ast.Module) -> set[str]:
    """Functions and classes that a module defines for others."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in tree.body if isinstance(node, defined)}
    return {name for name in names if not name.startswith("_")}


def commands_in(module: str) -> set[str]:
    """Functions of a module in `commands` that the command line calls."""
    found = set()
    for entry in COMMANDS.values():
        home, _, attribute = entry.target.partition(":")
        if home == module:
            target = getattr(import_module(f"{PACKAGE}.commands.{home}"), attribute)
            callbacks = (
                [each.callback for each in target.registered_commands]
                if isinstance(target, Typer)
                else [target]
            )
            found |= {callback.__name__ for callback in callbacks if callback}
    return found


@pytest.mark.parametrize(
    "name", [each for each in modules() if each.startswith("commands.")], ids=lambda each: each[9:]
)
def test_the_commands_folder_has_only_commands(name: str) -> None:
    module = name.removeprefix("commands.")
    commands = commands_in(module)
    assert commands, f"no command of app.COMMANDS is in {name}"
    assert public_in(modules()[name]) - COMMAND_EXTRAS.get(module, set()) == commands


def test_the_package_needs_nothing_around_it() -> None:
    assert broken_by(lambda name: tops_of(name) & set(OUTSIDE), modules()) == {}


def tops_imported_by(path: Path) -> set[str]:
    return {each.partition(".")[0] for each in imported_by(path)}


def test_devkit_imports_only_the_package() -> None:
    others = set(OUTSIDE) - {"devkit"}
    assert broken_by(lambda path: tops_imported_by(path) & others, files_of("devkit")) == {}


def test_tests_import_no_other_tests() -> None:
    """Shared code is a fixture or is in devkit."""
    tests = files_of("tests")
    own_modules = {each.stem for each in tests} | {"tests"}
    assert broken_by(lambda path: tops_imported_by(path) & own_modules, tests) == {}


def test_packages_of_core_import_only_what_they_may() -> None:
    def others(name: str) -> set[str]:
        wing = name.split(".")[1] if name.count(".") > 1 else ""
        seen = {each.split(".")[1] for each in own_imports(name) if each.count(".") > 1}
        return seen - {wing} - COMMON - MAY_LOOK_AT.get(wing, set())

    assert broken_by(others, of_core()) == {}


def test_no_private_name_is_imported() -> None:
    def private(name: str) -> set[str]:
        return {
            alias.name
            for node in ast.walk(modules()[name])
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.name.startswith("_") and not alias.name.endswith("__")
        }

    assert broken_by(private, modules()) == {}


def test_importing_a_module_does_nothing() -> None:
    """It defines names. Programs do their work under `if __name__ == "__main__"`."""
    defines = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = ast.Assign | ast.AnnAssign | ast.TypeAlias

    def does(name: str) -> list[str]:
        return [
            ast.unparse(node)
            for node in modules()[name].body[1:]  # after its docstring
            if not isinstance(node, defines | names)
            and not (isinstance(node, ast.If) and ast.unparse(node.test) in HARMLESS_TESTS)
        ]

    assert broken_by(does, modules()) == {}


def test_there_is_no_import_cycle() -> None:
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


def touches_environment(name: str) -> bool:
    touching = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    return any(
        (
            isinstance(node, ast.Attribute)
            and node.attr in touching
            and ast.unparse(node.value) == "os"
        )
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and touching & {alias.name for alias in node.names}
        )
        for node in ast.walk(modules()[name])
    )


def test_the_environment_is_read_in_one_place() -> None:
    assert set(broken_by(touches_environment, modules())) <= set(ENVIRONMENT_READERS)


def unguarded_imports(name: str) -> list[int]:
    """Lines that import MediaPipe outside of `with guarded_import()`."""
    tree = modules()[name]
    guards = [
        range(node.lineno, (node.end_lineno or 0) + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        and any(ast.unparse(item.context_expr) == "guarded_import()" for item in node.items)
    ]
    imported = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and any(each.startswith("mediapipe.tasks") for each in names_of(node))
    ]
    return [line for line in imported if not any(line in guard for guard in guards)]


def test_mediapipe_is_imported_only_with_its_reports_blocked() -> None:
    """Otherwise this process would report to MediaPipe's vendor (docs/security.md)."""
    assert broken_by(unguarded_imports, modules()) == {}


def catches_all(node: ast.AST) -> bool:
    """Whether it keeps an exception of any kind: an `except` that does not raise, or `suppress`."""
    if isinstance(node, ast.ExceptHandler):
        # One that ends with `raise` only tidies up.
        kinds = [] if isinstance(node.body[-1], ast.Raise) else [node.type or ast.Name("Exception")]
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        kinds = node.args
    else:
        kinds = []
    named = {word for kind in kinds for word in re.findall(r"\w+", ast.unparse(kind))}
    return bool(named & {"Exception", "BaseException"})


def test_nothing_swallows_every_exception() -> None:
    def broad(name: str) -> set[int]:
        return {
            node.lineno
            for node in ast.walk(modules()[name])
            if isinstance(node, ast.ExceptHandler | ast.Call) and catches_all(node)
        }

    assert broken_by(broad, set(modules()) - set(CATCH_ALL)) == {}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring; a command's docstring is its manual page."""
    doc = function.body[0] if ast.get_docstring(function) else None
    doc_lines = (doc.end_lineno or 0) - doc.lineno + 1 if doc else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc_lines


def test_modules_stay_short() -> None:
    def is_long(name: str) -> bool:
        return max((n.end_lineno or 0 for n in modules()[name].body), default=0) > MAX_MODULE_LINES

    assert set(broken_by(is_long, modules())) == set(LONG_MODULES)


def test_functions_stay_short() -> None:
    def long(name: str) -> dict[str, int]:
        nodes = ast.walk(modules()[name])
        functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        counts = {each.name: code_lines(each) for each in functions}
        return {each: count for each, count in counts.items() if count > MAX_FUNCTION_LINES}

    assert broken_by(long, modules()) == {}


def test_a_public_class_has_a_name_of_its_own() -> None:
    """One word for one thing: a reader who meets it in a traceback knows which one it is."""
    homes: dict[str, list[str]] = {}
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: where for name, where in homes.items() if len(where) > 1} == SHARED_NAMES


def test_every_error_is_defined_in_one_file() -> None:
    tree = {each.name for each in modules()["core.errors"].body if isinstance(each, ast.ClassDef)}

    def bases(name: str) -> set[str]:
        classes = [each for each in ast.walk(modules()[name]) if isinstance(each, ast.ClassDef)]
        found = {ast.unparse(base).rpartition(".")[2] for each in classes for base in each.bases}
        return found & (tree - {"Reaction"})

    assert broken_by(bases, set(modules()) - {"core.errors"}) == {}


def test_every_module_has_a_docstring() -> None:
    assert broken_by(lambda name: not ast.get_docstring(modules()[name]), modules()) == {}
