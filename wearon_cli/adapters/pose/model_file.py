"""
The pose model file: built once from networks that Google ships inside an older MediaPipe wheel.

MediaPipe's current wheel has no model. Version 0.10.21 carries the two networks of the pose
landmarker; fetched with pip, so that the user's own index, proxy and certificates are used. Each
gets the metadata the Tasks API asks for, and both go into one `.task` bundle, the same bytes each
time.
"""

import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platformdirs import user_cache_path

from wearon_cli.adapters.pose.mediapipe_import import guarded_import
from wearon_cli.core.errors import ConfigError, UpstreamError
from wearon_cli.core.settings import Settings

#: Called with the bytes received so far and the total.
type OnBytes = Callable[[int, int], None]

#: The last wheel that carries the networks, asked for by a tag that it has on every index: the
#: wheel is only unpacked, so this machine's own system and Python do not matter.
REQUIREMENT: Final = "mediapipe==0.10.21"
WHEEL_TAGS: Final = (
    *("--platform", "manylinux_2_28_x86_64"),
    *("--implementation", "cp"),
    *("--python-version", "3.12"),
    *("--abi", "cp312"),
)
#: The wheel has 36 MB; this is enough at 0.5 Mbit/s.
DOWNLOAD_TIMEOUT_S: Final = 900
#: A line of `pip --progress-bar raw`.
_PROGRESS: Final = re.compile(r"Progress (\d+) of (\d+)")
_CACHE_NAME: Final = "pose_landmarker_full.task"
#: The release workflow puts it there before it builds the wheel; it is not in the repository.
_RELEASED: Final = Path(__file__).parents[2] / "assets" / _CACHE_NAME
_PIP: Final = (sys.executable, "-m", "pip")
_PULL_HINT: Final = "run `wearon model pull`"
_PIP_HINT: Final = (
    "install pip into the environment of wearon-cli, for example with `python -m ensurepip`"
)
_INDEX_HINT: Final = (
    "check the network and pip's settings (`pip config list`), or set WEARON_POSE_MODEL to a copy "
    "of the file from another machine"
)


#: The bundle's member that is the network of landmarks.
LANDMARKS: Final = "pose_landmarks_detector.tflite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network: where it is in the wheel, what it is called in the bundle."""

    wheel_member: str
    sha256: str
    bundle_member: str
    #: Input pixels p (0..255) reach the network as (p - mean) / std.
    #: Source: MediaPipe's pose graphs, which feed the detector -1..1 and the landmarks 0..1 (a std
    #: of 255 on bytes).
    mean: float
    std: float


NETWORKS: Final = (
    Network(
        wheel_member="mediapipe/modules/pose_detection/pose_detection.tflite",
        sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        bundle_member="pose_detector.tflite",
        mean=127.5,
        std=127.5,
    ),
    Network(
        wheel_member="mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        bundle_member=LANDMARKS,
        mean=0.0,
        std=255.0,
    ),
)


def model_path(settings: Settings) -> Path:
    """
    Where the pose model is, or would be: WEARON_POSE_MODEL, else the one in a released wheel, else
    a file in the user's cache.
    """
    if settings.pose_model:
        return settings.pose_model
    return _RELEASED if _RELEASED.exists() else user_cache_path("wearon") / _CACHE_NAME


def require_model(settings: Settings) -> Path:
    """
    The pose model's path, for use.

    Raises:
        ConfigError: There is no such file, or it is not a whole bundle.
    """
    path = model_path(settings)
    if is_bundle(path):
        return path
    what = "is damaged" if path.exists() else "is missing"
    if settings.pose_model:
        raise ConfigError(
            f"the pose model named by WEARON_POSE_MODEL {what}: {path}",
            hint=f"set it to a pose landmarker .task file, or unset it and {_PULL_HINT}",
        )
    raise ConfigError(f"the pose model {what}: {path}", hint=_PULL_HINT)


def is_bundle(path: Path) -> bool:
    """True for a file with both networks in it, each as long as its directory says."""
    try:
        with zipfile.ZipFile(path) as bundle:
            names = {info.filename for info in bundle.infolist()}
    except (OSError, zipfile.BadZipFile):
        return False
    return names >= {network.bundle_member for network in NETWORKS}


def pull_model(
    settings: Settings,
    *,
    again: bool = False,
    pip: Sequence[str] = _PIP,
    on_bytes: OnBytes | None = None,
) -> Path:
    """
    Build the pose model if it is missing, or if `again` is set.

    Any number of processes may do this at once: each builds its own file, the last rename wins, and
    all write the same bytes.

    Args:
        pip: How pip is started.
        on_bytes: Called with the bytes received so far and the total.

    Raises:
        UpstreamError: The wheel could not be fetched.
        ConfigError: There is no pip here, the cache folder cannot be written, or
            WEARON_POSE_MODEL names a file that is not there.
    """
    if settings.pose_model or (not again and is_bundle(model_path(settings))):
        return require_model(settings)
    target = model_path(settings)
    try:
        with tempfile.TemporaryDirectory(prefix="wearon-model-") as folder:
            bundle = build_bundle(_download_wheel(Path(folder), pip, on_bytes))
    except OSError as exc:
        raise ConfigError(
            f"the temporary folder cannot be used: {exc.strerror}", hint="set TMPDIR to another one"
        ) from exc
    _write_whole(target, bundle)
    return target


def build_bundle(wheel: Path) -> bytes:
    """
    Build the `.task` bundle: an uncompressed zip of both networks with metadata.

    Args:
        wheel: MediaPipe's 0.10.21 wheel, for any system.

    Raises:
        UpstreamError: The wheel's networks are not the expected ones.
    """
    members = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for network in NETWORKS:
                data = archive.read(network.wheel_member)
                if hashlib.sha256(data).hexdigest() != network.sha256:
                    raise _other_wheel()
                members[network.bundle_member] = _with_metadata(data, network)
    except (zipfile.BadZipFile, KeyError) as exc:
        raise _other_wheel() from exc
    return aligned_zip(members)


def _other_wheel() -> UpstreamError:
    return UpstreamError(
        f"the {REQUIREMENT} that the package index served is not the expected one",
        hint="check which package index pip uses (`pip config list`)",
    )


def _download_wheel(folder: Path, pip: Sequence[str], on_bytes: OnBytes | None) -> Path:
    command = [
        *pip,
        *("--disable-pip-version-check", "--no-input", "--retries", "2"),
        *("download", "--no-deps", "--only-binary=:all:", *WHEEL_TAGS),
        *("--dest", str(folder), REQUIREMENT),
    ]
    if on_bytes is not None:
        code, pip_says = _run_pip([*command, "--progress-bar", "raw"], on_bytes)
        if code and "progress-bar" in pip_says:  # older than pip 24.1
            code, pip_says = _run_pip(command)
    else:
        code, pip_says = _run_pip(command)
    if code:
        raise _explained(pip_says)
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise UpstreamError("pip downloaded no wheel", hint=_INDEX_HINT)
    return wheel


def _run_pip(command: Sequence[str], on_bytes: OnBytes | None = None) -> tuple[int, str]:
    """Run pip to its end. Returns its exit code and its stderr."""
    with tempfile.TemporaryFile("w+") as stderr:
        try:
            process = subprocess.Popen(  # noqa: S603 - a fixed command, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                errors="replace",
                env=dict(os.environ),  # noqa: TID251 - the user's; C's may name MediaPipe's proxy
            )
        except OSError as exc:
            raise ConfigError("pip could not be started", hint=_PIP_HINT) from exc
        late = threading.Timer(DOWNLOAD_TIMEOUT_S, process.kill)
        late.start()
        try:
            with process:
                for line in process.stdout or ():
                    if on_bytes and (told := _PROGRESS.match(line)):
                        on_bytes(int(told[1]), int(told[2]))
        finally:
            is_late = not late.is_alive()
            late.cancel()
            process.kill()  # no effect when pip has ended; ends pip at Ctrl-C
        if is_late:
            raise UpstreamError(
                f"downloading {REQUIREMENT} took longer than {DOWNLOAD_TIMEOUT_S} s",
                hint="try again on a faster network",
            )
        stderr.seek(0)
        return process.returncode, stderr.read()


def _explained(pip_says: str) -> UpstreamError | ConfigError:
    """Why pip failed, in our words: its own messages contain addresses."""
    if "No module named pip" in pip_says:
        return ConfigError(
            "this Python has no pip, which is needed to download the pose model",
            hint=_PIP_HINT,
        )
    if "No space left" in pip_says:
        return ConfigError("the disk is full", hint="free 100 MB in the temporary folder")
    unreachable = ("connection broken", "Connection", "Temporary failure", "timed out", "SSLError")
    why = (
        "the package index cannot be reached"
        if any(sign in pip_says for sign in unreachable)
        else "the package index does not offer it"
    )
    return UpstreamError(
        f"the pose model's parts ({REQUIREMENT}) could not be downloaded: {why}",
        hint=_INDEX_HINT,
    )


def _with_metadata(network_bytes: bytes, network: Network) -> bytes:
    """Write the input normalisation into a network, in place of any metadata it has."""
    with guarded_import():
        from mediapipe.tasks.metadata import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(network_bytes, 0))
    entry = next((m for m in model.metadata if m.name == _METADATA_KEY), None)
    if entry is None:
        entry = schema.MetadataT(name=_METADATA_KEY, buffer=len(model.buffers))
        model.metadata.append(entry)
        model.buffers.append(schema.BufferT())
    graph = model.subgraphs[0]
    metadata = _metadata(network, outputs=[graph.tensors[i].name for i in graph.outputs])
    model.buffers[entry.buffer].data = list(metadata)
    builder = _aligned_builder(len(network_bytes) + len(metadata))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


#: The name under which TensorFlow Lite looks for metadata.
_METADATA_KEY: Final = b"TFLITE_METADATA"


def _metadata(network: Network, *, outputs: list[bytes]) -> bytes:
    with guarded_import():
        from mediapipe.tasks.metadata import metadata_schema_py_generated as schema

    image = schema.ContentT(
        contentPropertiesType=schema.ContentProperties.ImageProperties,
        contentProperties=schema.ImagePropertiesT(colorSpace=schema.ColorSpaceType.RGB),
    )
    normalise = schema.ProcessUnitT(
        optionsType=schema.ProcessUnitOptions.NormalizationOptions,
        options=schema.NormalizationOptionsT(mean=[network.mean], std=[network.std]),
    )
    graph = schema.SubGraphMetadataT(
        inputTensorMetadata=[
            schema.TensorMetadataT(name="image", content=image, processUnits=[normalise])
        ],
        outputTensorMetadata=[schema.TensorMetadataT(name=name.decode()) for name in outputs],
    )
    model = schema.ModelMetadataT(
        name=network.bundle_member, subgraphMetadata=[graph], minParserVersion="1.0.0"
    )
    builder = _aligned_builder(1024)
    builder.Finish(model.Pack(builder), b"M001")
    return bytes(builder.Output())


def _aligned_builder(size_bytes: int) -> Any:
    """A builder that aligns weights to 16 bytes, as TensorFlow Lite's schema requires."""
    import flatbuffers

    class AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc] # it has no types
        # The generated code aligns byte vectors to one byte: it ignores the schema's
        # `force_align`, and networks with misaligned weights fail on some processors.
        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
            wanted = 16 if elemSize == 1 else alignment
            return int(super().StartVector(elemSize, numElems, wanted))

    return AlignedBuilder(size_bytes)


def aligned_zip(members: dict[str, bytes]) -> bytes:
    """An uncompressed zip whose members are aligned to 64 bytes, so that they are mapped, not
    copied.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as bundle:
        for name, data in members.items():
            # A fixed date, system and mode: the same bytes on every machine.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            data_start = out.tell() + 30 + len(name) + 4  # local header, name, padding's header
            padding = -data_start % 64
            info.extra = struct.pack("<HH", _PADDING_FIELD, padding) + bytes(padding)
            bundle.writestr(info, data)
    return out.getvalue()


#: Header id of a zip extra field that only fills space (the one Android's zipalign uses).
_PADDING_FIELD: Final = 0xD935


def _write_whole(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            Path(name).chmod(0o644)  # readable by the users of other roles, like any cached file
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as exc:
        raise ConfigError(
            f"the pose model cannot be written to {path.parent}: {exc.strerror}",
            hint="make the folder writable, or set WEARON_POSE_MODEL to another path",
        ) from exc
