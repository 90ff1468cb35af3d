"""A budget for decompressed bytes: one for each document, whatever it contains. Imports only errors."""

from __future__ import annotations

from service.errors import TooLarge

MAX_INFLATED_BYTES = 268_435_456
"""For all parts of a document together. A 25 MiB file of real text inflates to about 250 MB."""


class InflationBudget:
    """The bytes that may still be inflated. Counts actual bytes, not the sizes that a zip declares."""

    def __init__(self, left_bytes: int = MAX_INFLATED_BYTES) -> None:
        self.left_bytes = left_bytes

    @property
    def is_spent(self) -> bool:
        """Whether `take` has failed."""
        return self.left_bytes < 0

    def take(self, n_bytes: int) -> None:
        """Spend `n_bytes`; raise TooLarge if fewer are left."""
        self.left_bytes -= n_bytes
        if self.left_bytes < 0:
            raise TooLarge(
                f"The file inflates to more than {MAX_INFLATED_BYTES:,} bytes, the limit. "
                "Send it in parts, or save its text as .txt."
            )
