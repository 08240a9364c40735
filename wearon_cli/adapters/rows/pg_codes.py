"""
Codes with which the platform's database refuses: PostgreSQL's, and PostgREST's.

The local store uses the same ones, so that callers need not know which store they use. They travel
in `StoreRefused.vendor_code`.

Source: PostgreSQL 15 manual, appendix A; PostgREST 12 manual, "Errors".
"""

from typing import Final

DUPLICATE: Final = "23505"  # a UNIQUE constraint: for a refund, "already refunded"
OWNER_UNKNOWN: Final = "23503"  # a foreign key: no such user or store
CHECK_VIOLATED: Final = "23514"
VALUE_MISSING: Final = "23502"
NOT_A_VALUE: Final = "22P02"  # not a uuid, not a number
REFUSED_BY_FUNCTION: Final = "P0001"  # no credit left, amount not above 0, unknown shopper
NO_PERMISSION: Final = "42501"
NO_COLUMN: Final = "42703"  # read; PostgREST's own for writes is the next
NO_COLUMN_TO_WRITE: Final = "PGRST204"
NO_TABLE: Final = "42P01"
NO_TABLE_IN_CACHE: Final = "PGRST205"
NO_FUNCTION: Final = "PGRST202"
