"""The descriptions of the HTTP interface: the OpenAPI document, /docs, and docs/http.md."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from devkit.http_app import ASSETS, PERSON, ask, client, no_model, open_reader, serve_process
from wearon_cli.core.settings import Settings
from wearon_cli.runtime.http import edge
from wearon_cli.runtime.http.reference import PROBLEMS
from wearon_cli.runtime.http.schemas import EstimateAnswer, EstimateBody, EstimateForm

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/http.md").read_text("utf-8")
PATH = "/estimate-body"
JPEG = {"content-type": "image/jpeg"}
EXAMPLES = {
    name: (status, example["value"])
    for status, problem in PROBLEMS.items()
    for name, example in problem["content"]["application/json"]["examples"].items()
}


async def slowly(caller: httpx.AsyncClient) -> httpx.Response:
    async def body() -> Any:
        yield b"{"
        raise TimeoutError  # what the middleware's own clock does

    return await caller.post(PATH, content=body())


#: How to cause each refusal in the document.
REQUESTS: dict[str, tuple[dict[str, Any], Callable[[httpx.AsyncClient], Awaitable[Any]]]] = {
    "picture_unavailable": ({}, lambda c: ask(c, image_url="https://photos.example/gone.jpg")),
    "picture_unusable": (
        {},
        lambda c: c.post(PATH, files={"image": b"text"}, data={"height_cm": "170"}),
    ),
    "unauthorized": ({"settings": Settings(http_token=SecretStr("letmein-1234"))}, ask),
    "request_timeout": ({}, slowly),
    "request_too_large": ({}, lambda c: c.post(PATH, content=b" " * (edge.MAX_BODY_BYTES + 1))),
    "unsupported_media_type": ({}, lambda c: c.post(PATH, data={"height_cm": "170"})),
    "invalid_request": ({}, lambda c: c.post(PATH, json={"image_url": PERSON, "height": 170})),
    "no_person": ({}, lambda c: ask(c, image_url="https://photos.example/shirt.jpg")),
    "too_many_requests": ({"settings": Settings(http_requests_per_minute=1)}, ask),
    "measuring_unavailable": ({"reader": no_model}, ask),
}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_each_documented_refusal_is_the_real_answer(name: str) -> None:
    (status, value), (parts, request) = EXAMPLES[name], REQUESTS[name]
    async with client(**{"reader": open_reader, **parts}) as caller:
        if name == "too_many_requests":
            for _ in range(2):  # one too many is let through where a minute begins
                await ask(caller)
        answer = await request(caller)
    assert (answer.status_code, answer.json()) == (status, value)


async def document() -> dict[str, Any]:
    async with client(settings=Settings(http_docs=True)) as caller:
        found: dict[str, Any] = (await caller.get("/openapi.json")).json()
    return found


async def test_the_document_describes_uploads_and_has_no_dangling_references() -> None:
    found = await document()
    estimate = found["paths"][PATH]["post"]
    assert set(estimate["requestBody"]["content"]) == {
        *("application/json", "multipart/form-data", "image/jpeg", "image/png", "image/webp"),
    }
    form = found["components"]["schemas"]["EstimateForm"]
    assert set(form["properties"]) == set(EstimateForm.model_fields)
    assert {each["name"] for each in estimate["parameters"]} == (
        set(EstimateForm.model_fields) - {"image", "side_image"}
    )
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    assert named <= set(found["components"]["schemas"])


async def test_the_examples_are_valid() -> None:
    found = await document()
    content = found["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        EstimateBody.model_validate(example["value"])
    for example in found["components"]["schemas"]["EstimateAnswer"]["examples"]:
        EstimateAnswer.model_validate(example)


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_page_shows_everything_and_loads_nothing() -> None:
    async with client(settings=Settings(http_docs=True)) as caller:
        page = await caller.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "'none'" in page.headers["content-security-policy"]
    read = Elements()
    read.feed(page.text)
    assert {tag for tag, _ in read.found} & {"script", "link", "img", "iframe"} == set()
    addresses = [value for _, attrs in read.found for n, value in attrs.items() if n == "href"]
    names = {attrs["id"] for _, attrs in read.found if "id" in attrs}
    assert set(addresses) - {"openapi.json"} <= {f"#{name}" for name in names}
    for shown in (*EstimateForm.model_fields, *EstimateBody.model_fields, *EXAMPLES):
        assert shown in read.text


async def test_every_refusal_is_in_the_table_of_the_docs() -> None:
    table = {int(s): line for line in PAGE.splitlines() for s in re.findall(r"^\| (\d+) \|", line)}
    codes = {code for line in PAGE.splitlines() if line.startswith("| ") for code in words(line)}
    assert set(PROBLEMS) <= set(table)
    assert set(EXAMPLES) <= codes


def words(line: str) -> list[str]:
    return re.findall(r"`(\w+)`", line)


# ----------------------------------------------------------------------------- docs/http.md


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serve_process(tmp_path_factory.mktemp("serve")) as port:
        yield port


def commands() -> list[str]:
    """The curl commands of docs/http.md, unchanged."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE)
    texts = ["".join(line[4:] + "\n" for line in block.splitlines()) for block in blocks]
    return [text for text in texts if text.startswith("curl ")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("number", range(3))
def test_commands_in_the_docs_work(number: int, port: int, tmp_path: Path) -> None:
    assert len(commands()) == 3
    (tmp_path / "front.jpg").write_bytes((ASSETS / "person.jpg").read_bytes())
    (tmp_path / "side.jpg").write_bytes((ASSETS / "person.jpg").read_bytes())
    command = commands()[number].replace("PROJECT.supabase.co", "127.0.0.1")
    arguments = shlex.split(command.replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
    done = subprocess.run(
        [*arguments, "--silent", "--noproxy", "*"], capture_output=True, cwd=tmp_path, timeout=90
    )
    answer = json.loads(done.stdout)
    if number == 1:
        assert EstimateAnswer.model_validate(answer).measurements["height_cm"] == 172
    else:  # its side photo is from the front; its address is not public
        assert answer["code"] == ("not_from_side", None, "picture_forbidden")[number]
