"""The part of an image provider's answer that may be stored and shown, for its support."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorAnswer:
    """An answer without a picture. Short identifiers only: never the provider's own text."""

    status: int | None = None  # of HTTP
    code: str | None = None  # the provider's name of the error
    parameter: str | None = None  # our parameter that it rejects
    request_id: str | None = None  # the id that the provider's support asks for

    def facts(self) -> dict[str, object]:
        """Its members for a log or a timeline, without unknown ones."""
        known = {
            "status": self.status,
            "code": self.code,
            "parameter": self.parameter,
            "vendor_request_id": self.request_id,
        }
        return {name: value for name, value in known.items() if value is not None}
