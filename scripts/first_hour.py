"""
The first hour of a newcomer, in a clean folder: every command that the README shows, timed.

    make trial PEOPLE="me.jpg you.jpg" GARMENTS="shirt.jpg dress.jpg"     bundled photos without

Copies the project into an empty folder, installs it there as `make demo` does (with its own cache,
so that everything is downloaded), and runs: demo, all, try-on of each garment on each person,
estimate by command and by upload, doctor, and the operators' page. Prints how long each took, and
draws a contact sheet. It has no provider's key, so the pictures are previews and cost nothing.
"""

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from PIL import Image, ImageOps

from devkit.ports import free_port
from wearon_cli.core.pictures.contact_sheet import Card, contact_sheet
from wearon_cli.runtime.events import AllReady

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "wearon_cli" / "assets"
READY_WITHIN_S = 120.0
STEP_WITHIN_S = 1800.0
#: Exit code of a photo that cannot be measured (docs/errors.md).
REFUSED = 4
#: What `wearon web` prints before its address.
PAGE_IS_AT = "the page is at "
#: Removed from the environment: settings and keys of this machine.
FOREIGN = ("WEARON_", "OPENAI_", "SUPABASE_", "RUNWARE_", "REDIS_", "WORKER_", "PYTHON")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step."""

    name: str
    took_s: float
    is_good: bool
    said: str = ""  # its last line


@dataclass(slots=True, kw_only=True)
class Trial:
    """The clean folder, and what happened in it."""

    folder: Path
    steps: list[Step] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.folder / "wearon"

    @property
    def wearon(self) -> str:
        return str(self.project / ".venv/bin/wearon")

    @property
    def environment(self) -> dict[str, str]:
        mine = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        return {**mine, "XDG_CACHE_HOME": str(self.folder / "cache")}

    def run(self, name: str, *command: str, fine: Sequence[int] = (0,)) -> None:
        """Run a command to its end. Its stderr is kept in the folder; `fine` are the accepted exit
        codes.
        """
        begun_s = time.monotonic()
        log = self.folder / f"{len(self.steps) + 1:02}.log"
        with log.open("wb") as errors:
            done = subprocess.run(
                command,
                cwd=self.project,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=STEP_WITHIN_S,
            )
        text = done.stdout.decode(errors="replace") or log.read_text("utf-8", errors="replace")
        self.note(name, begun_s, is_good=done.returncode in fine, text=text)

    def note(self, name: str, begun_s: float, *, is_good: bool, text: str = "") -> None:
        said = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        step = Step(name=name, took_s=time.monotonic() - begun_s, is_good=is_good, said=said)
        self.steps.append(step)
        mark = "ok  " if is_good else "FAIL"
        print(f"{mark}  {step.took_s:7.1f} s  {name:<24}  {said[:80]}", flush=True)

    @contextmanager
    def running(self, name: str, *command: str, is_ready: Callable[[str], bool]) -> Iterator[str]:
        """Start a command that keeps running, and wait until its output says that it is ready.
        Stopped by SIGINT.
        """
        begun_s = time.monotonic()
        log = self.folder / f"{len(self.steps) + 1:02}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=self.project, env=self.environment, stdout=out, stderr=out
            )
        try:
            while not (ready := is_ready(log.read_text("utf-8", errors="replace"))):
                if process.poll() is not None or time.monotonic() > begun_s + READY_WITHIN_S:
                    break
                time.sleep(0.1)
            self.note(name, begun_s, is_good=ready)
            yield log.read_text("utf-8", errors="replace")
        finally:
            begun_s = time.monotonic()
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=READY_WITHIN_S)
            self.note(f"{name}: Ctrl-C", begun_s, is_good=code == 0, text=f"exit code {code}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--folder", type=Path, help="An empty folder; default: a new one.")
    parser.add_argument("--people", type=Path, nargs="*", default=[])
    parser.add_argument("--garments", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    people = [path.absolute() for path in args.people] or [ASSETS / "person.jpg"]
    garments = [path.absolute() for path in args.garments] or [ASSETS / "garment_tee.jpg"]
    if missing := [str(path) for path in (*people, *garments) if not path.is_file()]:
        parser.error(f"there is no {', '.join(missing)}")
    folder = args.folder or Path(tempfile.mkdtemp(prefix="wearon-trial-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty")
    trial = Trial(folder=folder.absolute())
    cards = first_hour(trial, people, garments)
    return report(trial, cards)


def first_hour(trial: Trial, people: Sequence[Path], garments: Sequence[Path]) -> list[Card]:
    """Everything, in a newcomer's order; the pictures to look at."""
    begun_s = time.monotonic()
    copy_project(trial.project)
    trial.note("copy", begun_s, is_good=True)
    trial.run("install", "scripts/bootstrap", "run")
    demo = trial.folder / "demo.jpg"
    trial.run("demo", trial.wearon, "demo", "--out", str(demo))
    cards = [card("demo", demo)]
    port = free_port()
    command = (trial.wearon, "all", "--local", "--port", str(port))
    with trial.running("all", *command, is_ready=lambda text: AllReady.name() in text):
        for person in people:
            cards += [try_on(trial, person, garment) for garment in garments]
        for person in people:
            estimate(trial, person, port)
        trial.run("doctor", trial.wearon, "doctor", "--local")
        look_at_the_page(trial)
    return cards


def copy_project(into: Path) -> None:
    """The files of a clone, including uncommitted changes."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)


def try_on(trial: Trial, person: Path, garment: Path) -> Card:
    out = trial.folder / f"{person.stem}-{garment.stem}.jpg"
    words = ("try-on", str(person), str(garment), "--local", "--out", str(out))
    trial.run(f"try-on {person.stem[:8]} {garment.stem[:8]}", trial.wearon, *words)
    return card(f"{person.stem} + {garment.stem}", out, f"{trial.steps[-1].took_s:.1f} s")


def estimate(trial: Trial, person: Path, port: int) -> None:
    """By command, and as an upload to the server. A refusal with a hint is an answer too."""
    name = person.stem[:12]
    words = ("estimate", str(person), "--height", "172")
    trial.run(f"estimate {name}", trial.wearon, *words, fine=(0, REFUSED))
    begun_s = time.monotonic()
    answer = httpx.post(
        f"http://127.0.0.1:{port}/estimate-body",
        files={"image": person.read_bytes()},
        data={"height_cm": "172"},
        timeout=STEP_WITHIN_S,
        trust_env=False,
    )
    is_good = answer.status_code == httpx.codes.OK or bool(answer.json().get("hint"))
    trial.note(f"upload {name}", begun_s, is_good=is_good, text=answer.text)


def look_at_the_page(trial: Trial) -> None:
    """Start it, and open the address that it prints."""
    if not (trial.project / "wearon_cli/commands/web.py").exists():
        print("--              web                       there is none", flush=True)
        return
    command = (trial.wearon, "web", "--local", "--port", "0")
    with trial.running("web", *command, is_ready=lambda text: PAGE_IS_AT in text) as said:
        begun_s = time.monotonic()
        address = said.partition(PAGE_IS_AT)[2].split()
        if not address:
            return
        with httpx.Client(follow_redirects=True, trust_env=False) as browser:
            browser.get(address[0], timeout=STEP_WITHIN_S)  # its token logs the browser in
            answer = browser.get(httpx.URL(address[0]).join("/"), timeout=STEP_WITHIN_S)
        (trial.folder / "page.html").write_bytes(answer.content)
        is_good = answer.status_code == httpx.codes.OK
        trial.note("page", begun_s, is_good=is_good, text=f"{len(answer.content)} bytes")


def card(name: str, picture: Path, facts: str = "") -> Card:
    """A picture for the sheet, whatever its format."""
    if not picture.is_file():
        return Card(name=name, facts=facts, reason="no picture")
    held = io.BytesIO()
    with Image.open(picture) as opened:
        ImageOps.exif_transpose(opened).convert("RGB").save(held, "JPEG", quality=92)
    return Card(name=name, facts=facts, jpeg=held.getvalue())


def report(trial: Trial, cards: Sequence[Card]) -> int:
    """The contact sheet, and the total. Exit code 0: every step went well."""
    failed = [step.name for step in trial.steps if not step.is_good]
    total_s = sum(step.took_s for step in trial.steps)
    sum_up = f"{len(trial.steps)} steps in {total_s:.0f} s, {len(failed)} failed"
    sheet = trial.folder / "contact-sheet.jpg"
    sheet.write_bytes(contact_sheet(cards, title="The first hour", subtitle=sum_up))
    print(f"{sum_up}{': ' if failed else ''}{', '.join(failed)}")
    print(f"pictures: {sheet}\nlogs, and what was installed: {trial.folder}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
