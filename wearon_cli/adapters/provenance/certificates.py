"""How long a certificate can sign."""

from datetime import date
from pathlib import Path

from wearon_cli.core.errors import ConfigError


def last_day(certificate: Path) -> date:
    """
    The last day (UTC) on which every certificate of a chain is valid.

    Args:
        certificate: The chain as PEM.

    Raises:
        ConfigError: It cannot be read, or the library for it is not installed.
    """
    try:
        from cryptography.x509 import load_pem_x509_certificates
    except ImportError as exc:
        raise ConfigError(
            "the library that reads certificates is not installed",
            hint="pip install 'wearon-cli[c2pa]'",
        ) from exc
    try:
        chain = load_pem_x509_certificates(certificate.read_bytes())
    except OSError as exc:
        raise ConfigError(
            f"the C2PA certificate cannot be read: {exc.strerror}",
            hint="see WEARON_C2PA_CERTIFICATE",
        ) from exc
    except ValueError as exc:
        raise ConfigError(
            "WEARON_C2PA_CERTIFICATE holds no certificate in PEM",
            hint="docs/provenance.md says which certificates can sign",
        ) from exc
    return min(each.not_valid_after_utc for each in chain).date()
