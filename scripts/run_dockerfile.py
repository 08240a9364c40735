"""
Run the steps of the Dockerfile in clean root folders, on a machine without a container engine.

    python -m scripts.run_dockerfile FOLDER      as root; needs debootstrap; takes some minutes

FOLDER/base becomes a minimal Debian with this interpreter in /usr/local, which stands for
python:3.12-slim. Each stage is a copy of it in which the stage's steps are run with chroot. Then
the image is checked: its size, who it runs as, whether a read-only root is enough, whether photos
are measured, whether SIGTERM ends it with 0. Not covered: the engine's own network, health checks
and limits, and the base image's exact packages.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from devkit.ports import free_port

ROOT = Path(__file__).parents[1]
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"
LIBRARIES = "ca-certificates,libssl3,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,zlib1g,libreadline8"
#: The user's own index settings, for the build only.
PASSED = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE")
KERNEL = ("proc", "sys")
HOST_FILES = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf"),
    "/etc/ssl/certs/ca-certificates.crt",  # also has a company's own certificate authority
)


@dataclass
class Stage:
    """One root folder and the state of its stage."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0"
    entrypoint: list[str] = field(default_factory=list)

    def chroot(self, command: list[str], *, user: str | None = None) -> list[str]:
        who = user or self.user
        return [CHROOT, f"--userspec={who}:{who}", str(self.root), *command]

    def run(self, script: str) -> None:
        line = f"cd {shlex.quote(self.folder)} && {script}"
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **self.environment}
        environment |= {name: os.environ[name] for name in PASSED if name in os.environ}
        subprocess.run(self.chroot(["/bin/sh", "-ec", line]), env=environment, check=True)


def base(folder: Path) -> Path:
    """A minimal Debian with this Python in /usr/local; made once."""
    root = folder / "base"
    if (root / "usr/local/bin/python").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", "bookworm", str(root)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    shutil.copytree("/etc/apt", root / "etc/apt", dirs_exist_ok=True)
    for name in HOST_FILES:
        if Path(name).exists():
            shutil.copy(name, root / name.removeprefix("/"))
    prefix = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(prefix / "lib", root / "usr/local/lib", dirs_exist_ok=True, symlinks=True)
    shutil.rmtree(root / f"usr/local/lib/{version}/test", ignore_errors=True)
    shutil.rmtree(root / f"usr/local/lib/{version}/site-packages")
    shutil.copy(prefix / "bin" / version, root / "usr/local/bin" / version)
    for name in ("python", "python3"):
        (root / "usr/local/bin" / name).symlink_to(version)
    return root


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each step, continued lines joined, comments left out."""
    text = "\n".join(
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")
    )
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def build(folder: Path) -> Stage:
    """Run every step; returns the last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(root=folder)
    for word, rest in instructions():
        print(f"-- {word} {' '.join(rest.split())[:100]}", flush=True)
        if word == "FROM":
            name = rest.split(" AS ")[1] if " AS " in rest else "final"
            stage = stages[name] = Stage(root=folder / name)
            shutil.rmtree(stage.root, ignore_errors=True)
            subprocess.run(["cp", "-a", base(folder), stage.root], check=True)
        elif word == "COPY":
            copy(stage, stages, shlex.split(rest))
        else:
            step(stage, word, rest)
    return stage


def step(stage: Stage, word: str, rest: str) -> None:
    """A step that needs no other stage."""
    match word:
        case "RUN":
            stage.run(rest)
        case "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                path = stage.environment.get("PATH", "/usr/local/bin:/usr/bin:/bin")
                stage.environment[name] = value.replace("$PATH", path)
        case "WORKDIR":
            stage.folder = rest
            (stage.root / rest.removeprefix("/")).mkdir(parents=True, exist_ok=True)
        case "USER":
            stage.user = rest
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        case "CMD" | "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK":
            pass  # left to the engine
        case _:
            raise SystemExit(f"this script does not know {word}")


def copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    source_root = ROOT
    if words[0].startswith("--from="):
        source_root = stages[words.pop(0).removeprefix("--from=")].root
    *sources, target = words
    into = stage.root / (Path(stage.folder) / target).as_posix().removeprefix("/")
    for source in sources:
        found = source_root / source.removeprefix("/")
        if found.is_dir():
            shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True)
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, into)


def look(stage: Stage, base_root: Path) -> None:
    """Check the image, and whether it works."""
    sizes = [_size_mb(stage.root), _size_mb(base_root)]
    print(f"image {sizes[0]} MB, of it {sizes[1]} MB stand for the base image")
    environment = {**stage.environment, "WEARON_PORT": str(free_port())}
    subprocess.run(["mount", "--bind", stage.root, stage.root], check=True)
    for name in KERNEL:  # as an engine does
        subprocess.run(["mount", "--rbind", f"/{name}", stage.root / name], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", stage.root], check=True)
    try:
        _try_it(stage, environment)
    finally:
        for name in KERNEL:
            subprocess.run(["umount", "--lazy", stage.root / name], check=True)
        subprocess.run(["umount", stage.root], check=True)


def _try_it(stage: Stage, environment: dict[str, str]) -> None:
    who = subprocess.run(
        stage.chroot(["/usr/bin/id", "-u"]), capture_output=True, text=True, check=True
    )
    print(f"runs as uid {who.stdout.strip()}, root file system read-only")
    for command in (["--version"], ["estimate", _asset(stage), "--height", "170"], ["all"]):
        done = subprocess.run(
            stage.chroot([f"/opt/wearon/bin/{stage.entrypoint[0]}", *command]),
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        print(f"$ wearon {' '.join(command)}   exit code {done.returncode}")
        print((done.stdout or done.stderr).rstrip())
    server = subprocess.Popen(
        stage.chroot(["/opt/wearon/bin/wearon", "serve"]),
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{environment['WEARON_PORT']}"
    print("GET /health/ready", _await_ready(address))
    probe = subprocess.run(
        stage.chroot(["/opt/wearon/bin/python", "-m", "wearon_cli.runtime.ops.probe"]),
        env=environment,
    )
    print("health check, exit code", probe.returncode)
    server.send_signal(signal.SIGTERM)
    print("SIGTERM, exit code", server.wait(timeout=30))


def _asset(stage: Stage) -> str:
    found = next(stage.root.glob("opt/wearon/lib/*/site-packages/wearon_cli/assets/person.jpg"))
    return f"/{found.relative_to(stage.root)}"


def _await_ready(address: str) -> int:
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s:
        try:
            status = httpx.get(f"{address}/health/ready", trust_env=False).status_code
        except httpx.HTTPError:
            status = 0
        if status == 200:
            return status
        time.sleep(0.2)
    raise SystemExit("serve did not become ready")


def _size_mb(root: Path) -> int:
    answer = subprocess.run(
        ["du", "-sxm", str(root)], capture_output=True, text=True, check=True
    ).stdout
    return int(answer.split()[0])


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    look(build(folder), base(folder))


if __name__ == "__main__":
    main()
