"""Signs pictures with content credentials, with the operator's certificate."""

import io
from base64 import b64decode
from pathlib import Path
from typing import Any, Final

from wearon_cli import __version__
from wearon_cli.adapters.provenance.library import context, library
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.pictures.headers import sniff
from wearon_cli.core.pictures.marking import SOURCE_TYPE_SCHEME, SourceType

_JPEG: Final = "image/jpeg"
_HINT: Final = "docs/provenance.md says which certificates can sign"
#: The name by which the manifest's action finds its ingredient.
_PARENT: Final = "parent"
#: A grey JPEG of one pixel, signed once at start.
_TRIAL: Final = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP//////////////////////////////////////////////////////"
    "////////////////////////////////wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAA"
    "AAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AR//Z"
)


class C2paSigner:
    """Implements `Signer`. Requests no time stamp: that would be a call to another company."""

    def __init__(self, *, certificate: bytes, key: bytes) -> None:
        """
        Args:
            certificate: The chain as PEM: the signer's own first, then its issuers.
            key: Its private key as PEM, without a passphrase.

        Raises:
            ConfigError: They cannot sign, or the library is not there.
        """
        self._c2pa = library()
        self._certificate, self._key = certificate, key
        self._algorithm = _algorithm(key)
        self.sign(_TRIAL, parent=_TRIAL, source_type=SourceType.GENERATED, encoded_anew=False)

    @classmethod
    def open(cls, *, certificate: Path, key: Path) -> "C2paSigner":
        """
        Create a signer from these files.

        Raises:
            ConfigError: They cannot be read, or cannot sign.
        """
        try:
            return cls(certificate=certificate.read_bytes(), key=key.read_bytes())
        except OSError as exc:
            raise ConfigError(
                f"the C2PA certificate or its key cannot be read: {exc.strerror}",
                hint="see WEARON_C2PA_CERTIFICATE and WEARON_C2PA_KEY",
            ) from exc

    def sign(
        self, jpeg: bytes, *, parent: bytes, source_type: SourceType, encoded_anew: bool
    ) -> bytes:
        c2pa = self._c2pa
        info = c2pa.C2paSignerInfo(self._algorithm, self._certificate, self._key, None)
        signed = io.BytesIO()
        try:
            manifest = _manifest(source_type, encoded_anew=encoded_anew)
            builder = c2pa.Builder(manifest, context(c2pa))
            ingredient = {"relationship": "parentOf", "label": _PARENT, "title": "answer"}
            builder.add_ingredient(ingredient, _mime(parent), io.BytesIO(parent))
            builder.sign(c2pa.Signer.from_info(info), _JPEG, io.BytesIO(jpeg), signed)
        except c2pa.C2paError as exc:
            kind = str(exc).partition(":")[0]
            raise ConfigError(f"the C2PA certificate cannot sign ({kind})", hint=_HINT) from exc
        return signed.getvalue()


def _manifest(source_type: SourceType, *, encoded_anew: bool) -> dict[str, Any]:
    opened = {
        "action": "c2pa.opened",
        "digitalSourceType": SOURCE_TYPE_SCHEME + source_type.value,
        "parameters": {"ingredientIds": [_PARENT]},
    }
    changed = "c2pa.transcoded" if encoded_anew else "c2pa.edited.metadata"
    return {
        "claim_generator_info": [{"name": "wearon", "version": __version__}],
        "title": "try-on",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [opened, {"action": changed}]}}
        ],
    }


def _mime(picture: bytes) -> str:
    kind = sniff(picture)
    return kind.content_type if kind else _JPEG


def _algorithm(key: bytes) -> str:
    """
    C2PA's name for this key's algorithm (C2PA 2.2, section 13.2).

    Raises:
        ConfigError: It is not a private key, or its algorithm is not allowed in C2PA.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        read = load_pem_private_key(key, password=None)
    except (ValueError, TypeError) as exc:
        raise ConfigError("WEARON_C2PA_KEY is not a readable private key", hint=_HINT) from exc
    if isinstance(read, ec.EllipticCurvePrivateKey) and read.key_size in _ELLIPTIC:
        return _ELLIPTIC[read.key_size]
    if isinstance(read, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(read, rsa.RSAPrivateKey):
        return "ps256"
    raise ConfigError("WEARON_C2PA_KEY is of a type that C2PA does not support", hint=_HINT)


_ELLIPTIC: Final = {256: "es256", 384: "es384", 521: "es512"}
