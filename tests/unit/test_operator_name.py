"""The operator's name in the timeline."""

import getpass
import socket

import pytest

from wearon_cli.cli.operator import MAX_NAME_CHARS, operator_name
from wearon_cli.core.errors import InputError


def test_without_a_name_it_is_the_systems_user_and_machine() -> None:
    assert operator_name() == f"{getpass.getuser()}@{socket.gethostname()}"


def test_a_name_given_is_kept_with_single_spaces() -> None:
    assert operator_name("  Ada \t Lovelace ") == "Ada Lovelace"


@pytest.mark.parametrize("given", ["", "  ", "x" * (MAX_NAME_CHARS + 1), "a\x1b[31mb"])
def test_an_invalid_name_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="--as"):
        operator_name(given)
