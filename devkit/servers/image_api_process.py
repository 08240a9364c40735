"""A loopback image API in its own process, for tests, the chaos run and benchmarks."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx

from devkit.processes import stop
from devkit.waiting import LONGEST_S

ROOT = Path(__file__).parents[2]


class ImageApiProcess:
    """
    A context manager around one process; `base_url` is the value for OPENAI_BASE_URL.

    The APIs of other providers are subclasses with the same control.
    """

    module: ClassVar[str] = "devkit.servers.image_api"

    def __init__(
        self,
        *,
        latency: str = "0",
        faults: str = "",
        requests_per_minute: int | None = None,
        seed: int = 1,
    ) -> None:
        self._options = ["--latency", latency, "--faults", faults, "--seed", str(seed)]
        if requests_per_minute is not None:
            self._options += ["--limit", str(requests_per_minute)]
        self._process: subprocess.Popen[str] | None = None
        self._http = httpx.Client(timeout=LONGEST_S, trust_env=False)
        self.base_url = ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module, *self._options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.base_url = json.loads(self._process.stdout.readline())["base_url"]
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._http.close()
        stop(self._process)
        self._process.stdout.close()

    def rules(self, **rules: Any) -> None:
        """Change faults (a list of dicts), latency, limit, open_models or gather while it runs."""
        self._http.post(self._control("rules"), json=rules).raise_for_status()

    def release(self) -> None:
        """Finish every held drawing."""
        self._http.post(self._control("release")).raise_for_status()

    def reset(self) -> None:
        """Empty the book."""
        self._http.post(self._control("reset")).raise_for_status()

    def book(self, *, calls: bool = False) -> dict[str, Any]:
        """Sums over all calls; with `calls`, every call under "list"."""
        answer = self._http.get(self._control("book"), params={"calls": "1"} if calls else {})
        book: dict[str, Any] = answer.raise_for_status().json()
        return book

    def _control(self, name: str) -> str:
        return f"{self.base_url.removesuffix('/v1')}/control/{name}"


class ResponsesApiProcess(ImageApiProcess):
    """OpenAI's Responses; `base_url` is the value for OPENAI_BASE_URL."""

    module = "devkit.servers.responses_api"


class RunwareApiProcess(ImageApiProcess):
    """Runware; `base_url` is the value for RUNWARE_BASE_URL."""

    module = "devkit.servers.runware_api"

    @property
    def origin(self) -> str:
        """Where results are downloaded from, for WEARON_FETCH_ORIGINS."""
        return self.base_url.removesuffix("/v1")
