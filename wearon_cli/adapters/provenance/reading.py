"""Reading and checking the content credentials of a picture."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wearon_cli.adapters.provenance.library import context, library
from wearon_cli.core.pictures.credentials import Credentials, SignatureState
from wearon_cli.core.pictures.headers import sniff

#: `VALID` already means that no trust list was asked about the certificate.
_NO_FAULT: Final = "signingCredential.untrusted"


def read_credentials(picture: bytes) -> Credentials | None:
    """
    Check the newest signature of a picture, and read what it says. Makes no network calls.

    Args:
        picture: A JPEG, PNG or WebP file.

    Returns:
        None when it carries no content credentials, or none that can be parsed.

    Raises:
        ConfigError: The library is not there.
    """
    c2pa = library()
    kind = sniff(picture)
    if kind is None:
        return None
    try:
        reader = c2pa.Reader(kind.content_type, io.BytesIO(picture), context=context(c2pa))
        state, told = str(reader.get_validation_state()), json.loads(reader.json())
    except c2pa.C2paError:
        return None
    manifests = told.get("manifests", {})
    active = manifests.get(told.get("active_manifest"), {})
    actions = list(_actions(active))
    faults = (str(each.get("code")) for each in told.get("validation_status", ()))
    return Credentials(
        state=SignatureState(state.lower()),
        signed_by=_signer(active),
        made_with=_program(active),
        actions=tuple(str(each.get("action")) for each in actions),
        source_type=_source_type(actions),
        parents_signed_by=tuple(_parents(active, manifests)),
        faults=tuple(code for code in faults if code != _NO_FAULT),
    )


def _signer(manifest: Mapping[str, Any]) -> str | None:
    signature = manifest.get("signature_info") or {}
    return signature.get("issuer") or signature.get("common_name")


def _program(manifest: Mapping[str, Any]) -> str | None:
    for each in manifest.get("claim_generator_info") or ():
        return " ".join(filter(None, (each.get("name"), each.get("version"))))
    return manifest.get("claim_generator")


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in manifest.get("assertions") or ():
        if str(each.get("label")).startswith("c2pa.actions"):
            yield from each.get("data", {}).get("actions") or ()


def _source_type(actions: list[Mapping[str, Any]]) -> str | None:
    told = (each.get("digitalSourceType") for each in actions)
    return next((str(each).rpartition("/")[2] for each in told if each), None)


def _parents(manifest: Mapping[str, Any], manifests: Mapping[str, Any]) -> Iterator[str]:
    for each in manifest.get("ingredients") or ():
        signer = _signer(manifests.get(each.get("active_manifest"), {}))
        if signer:
            yield signer
