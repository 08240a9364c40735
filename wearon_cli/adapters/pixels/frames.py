"""
Messages between a worker and its pixel processes: a note in JSON, and bytes.

Not pickle: a compromised decoder must not be able to run code in the worker.
"""

import json
import struct
from typing import Any, BinaryIO, Final

#: Lengths of the note and of the bytes behind it.
HEAD: Final = struct.Struct(">II")
#: Longest parts read. A note is short; no picture is larger than this.
MAX_NOTE_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 256 * 1024 * 1024


def pack(note: dict[str, Any], body: bytes = b"") -> bytes:
    """The header of a message."""
    text = json.dumps(note).encode()
    return HEAD.pack(len(text), len(body)) + text


def lengths(head: bytes) -> tuple[int, int]:
    """
    The lengths (note, body) in bytes.

    Raises:
        ValueError: Longer than any message is.
    """
    note_bytes, body_bytes = HEAD.unpack(head)
    if note_bytes > MAX_NOTE_BYTES or body_bytes > MAX_BODY_BYTES:
        raise ValueError("a message longer than any that is sent")
    return note_bytes, body_bytes


def send(pipe: BinaryIO, note: dict[str, Any], body: bytes = b"") -> None:
    """Write one message."""
    pipe.write(pack(note, body))
    pipe.write(body)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read one message; None when the other side is gone."""
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    note_bytes, body_bytes = lengths(head)
    note, body = pipe.read(note_bytes), pipe.read(body_bytes)
    return (json.loads(note), body) if len(body) == body_bytes else None
