"""Builds the marking of pictures."""

from wearon_cli.core.errors import ConfigError
from wearon_cli.core.pictures.marking import Marking
from wearon_cli.core.settings import Settings


def open_marking(settings: Settings) -> Marking:
    """
    The marking of these settings, with a signature if there is a certificate.

    Raises:
        ConfigError: The certificate cannot sign, or is named without its key.
    """
    certificate, key = settings.c2pa_certificate, settings.c2pa_key
    if certificate is None and key is None:
        return Marking()
    if certificate is None or key is None:
        raise ConfigError(
            "a C2PA certificate needs its key, and the key its certificate",
            hint="set both WEARON_C2PA_CERTIFICATE and WEARON_C2PA_KEY, or neither",
        )
    from wearon_cli.adapters.provenance.signing import C2paSigner

    return Marking(signer=C2paSigner.open(certificate=certificate, key=key))
