"""Content credentials (C2PA) of a picture, as read and checked."""

from dataclasses import dataclass
from enum import StrEnum


class SignatureState(StrEnum):
    """What a check of a signature found."""

    TRUSTED = "trusted"  # valid, and its certificate is on a trust list
    VALID = "valid"  # valid, but the certificate is on no trust list
    INVALID = "invalid"  # the file was changed after it was signed, or the signature is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The newest signature of a file, and its content."""

    state: SignatureState
    signed_by: str | None  # organisation in the certificate
    made_with: str | None  # the program that signed
    actions: tuple[str, ...]  # what was done, oldest first: c2pa.created, c2pa.opened, ...
    source_type: str | None  # IPTC's, as trainedAlgorithmicMedia
    parents_signed_by: tuple[str, ...]  # signers of the files it was made from
    faults: tuple[str, ...]  # codes of the specification, for an invalid one
