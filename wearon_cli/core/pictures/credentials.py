"""Content credentials (C2PA) of a picture, as read and checked."""

from dataclasses import dataclass
from enum import StrEnum


class SignatureState(StrEnum):
    """What a check of a signature found."""

    TRUSTED = "trusted"  # it holds, and its certificate is on a trust list
    VALID = "valid"  # it holds; who signed is what the certificate says, and no list vouches for it
    INVALID = "invalid"  # the file was changed after it was signed, or the signature is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The newest signature of a file, and what it says."""

    state: SignatureState
    signed_by: str | None  # organisation in the certificate
    made_with: str | None  # the program that signed
    actions: tuple[str, ...]  # what was done, oldest first: c2pa.created, c2pa.opened, ...
    source_type: str | None  # IPTC's, as trainedAlgorithmicMedia
    parents_signed_by: tuple[str, ...]  # of the files it was made from: those that were signed
    faults: tuple[str, ...]  # codes of the specification, for an invalid one
