"""
The pose model without the part of its network that draws a person's outline.

The landmark network also draws a mask of 256 by 256 pixels, whether anyone asks for it or not: a
quarter of a landmarker's CPU time on a small picture. The checks of pictures read landmarks alone;
those stay the same to the last bit.
"""

import struct
import zipfile
from pathlib import Path
from typing import Any, Final

from wearon_cli.adapters.pose.mediapipe_import import guarded_import
from wearon_cli.adapters.pose.model_file import LANDMARKS, aligned_zip
from wearon_cli.core.errors import ConfigError

#: Where TensorFlow Lite's schema has a graph's outputs and operators, in the table of its fields.
_OUTPUTS_FIELD: Final = 8
_OPERATORS_FIELD: Final = 10
#: Least rows and columns of the output that is a mask; (1, rows, columns, 1).
_LEAST_MASK: Final = 128


def without_outline(bundle: Path) -> bytes:
    """
    The model as a file in memory, 9 MB. One whose network draws no mask is left as it is.

    Raises:
        ConfigError: It is not there, or is not a whole bundle.
    """
    try:
        with zipfile.ZipFile(bundle) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members[LANDMARKS] = _without_mask(members[LANDMARKS])
    except (OSError, zipfile.BadZipFile, KeyError) as exc:
        raise ConfigError(
            f"the pose model cannot be read: {bundle}", hint="run `wearon model pull --again`"
        ) from exc
    return aligned_zip(members)


def _without_mask(network: bytes) -> bytes:
    """
    The network without what only its mask needs. In the mask's place stands another output, since
    MediaPipe expects five; it looks at that one only when masks are asked for.
    """
    with guarded_import():
        from mediapipe.tasks.metadata import schema_py_generated as schema

    data = bytearray(network)
    graph = schema.Model.GetRootAsModel(data, 0).Subgraphs(0)
    outputs = [graph.Outputs(i) for i in range(graph.OutputsLength())]
    masks = [i for i, tensor in enumerate(outputs) if _is_mask(graph.Tensors(tensor))]
    if not masks or len(masks) == len(outputs):
        return network
    others = [tensor for i, tensor in enumerate(outputs) if i not in masks]
    needed = _needed(graph, others)
    start = _vector(graph, _OUTPUTS_FIELD)
    for i in masks:
        struct.pack_into("<i", data, start + 4 * i, min(others))
    _keep_operators(data, _vector(graph, _OPERATORS_FIELD), needed)
    return bytes(data)


def _is_mask(tensor: Any) -> bool:
    shape = [tensor.Shape(i) for i in range(tensor.ShapeLength())]
    return len(shape) == 4 and min(shape[1:3]) >= _LEAST_MASK and shape[3] == 1


def _needed(graph: Any, tensors: list[int]) -> list[int]:
    """The operators, in their order, that these tensors are computed by."""
    made_by: dict[int, int] = {}
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        made_by.update({operator.Outputs(i): number for i in range(operator.OutputsLength())})
    needed: set[int] = set()
    wanted = list(tensors)
    while wanted:
        tensor = wanted.pop()
        if tensor in made_by and made_by[tensor] not in needed:
            needed.add(made_by[tensor])
            operator = graph.Operators(made_by[tensor])
            wanted += [operator.Inputs(i) for i in range(operator.InputsLength())]
    return sorted(needed)


def _vector(graph: Any, field: int) -> int:
    """Where a vector's first element is in the file."""
    return int(graph._tab.Vector(graph._tab.Offset(field)))


def _keep_operators(data: bytearray, start: int, kept: list[int]) -> None:
    """Shorten the vector of operators: each entry is the distance from itself to its operator."""
    places = [start + 4 * number for number in kept]
    operators = [place + struct.unpack_from("<I", data, place)[0] for place in places]
    for number, operator in enumerate(operators):
        place = start + 4 * number
        struct.pack_into("<I", data, place, operator - place)
    struct.pack_into("<I", data, start - 4, len(kept))
