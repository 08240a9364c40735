"""A certificate that can sign pictures (C2PA), made here, and a provider that signs with it."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A chain and its key, as PEM."""

    chain: bytes
    key: bytes

    def sign(self, picture: bytes, *, kind: str = "image/jpeg") -> bytes:
        """The picture as a provider would send it: with a signature of its own."""
        info = c2pa.C2paSignerInfo("es256", self.chain, self.key, None)
        created = {"action": "c2pa.created", "digitalSourceType": GENERATED}
        manifest = {
            "claim_generator_info": [{"name": "Some model"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
        }
        signed = io.BytesIO()
        builder = c2pa.Builder(manifest)
        builder.sign(c2pa.Signer.from_info(info), kind, io.BytesIO(picture), signed)
        return signed.getvalue()


@cache
def certificate(owner: str = "Test Shop", *, days: int = 90) -> Certificate:
    """
    A certificate as C2PA requires it: version 3, for e-mail protection, by an authority.

    Args:
        owner: Its organisation.
        days: It is valid for so many from now; -1: it was until yesterday.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    until = timedelta(days=days)
    authority = (
        _named("Test authority", "Test authority", until)
        .public_key(authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    own = (
        _named(owner, "Test authority", until)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = own.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(chain=chain, key=pem)


def _named(owner: str, issuer: str, until: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(owner))
        .issuer_name(_name(issuer))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + until)
    )


def _name(organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
