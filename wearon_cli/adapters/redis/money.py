"""How money is kept in Redis."""

from typing import Final

#: In whole millionths of a dollar: scripts add up whole numbers exactly.
MICRO: Final = 1_000_000
