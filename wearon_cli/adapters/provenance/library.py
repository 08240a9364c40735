"""
The C2PA library from the extra `wearon-cli[c2pa]`, and the settings that all its uses share.

By default it fetches manifests from addresses that a picture names. Pictures are untrusted: this is
turned off.
"""

from importlib import import_module
from typing import Any, Final

from wearon_cli.core.errors import ConfigError

_SETTINGS: Final = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},  # tens of kB per picture, of no use here
}


def library() -> Any:
    """
    The library.

    Raises:
        ConfigError: It is not installed, or does not run on this system.
    """
    try:
        return import_module("c2pa")
    except (ImportError, OSError, RuntimeError) as exc:
        raise ConfigError(
            "the library for content credentials is not installed",
            hint="pip install 'wearon-cli[c2pa]'",
        ) from exc


def context(c2pa: Any) -> Any:
    """The library's context; it makes no network calls."""
    return c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))
