"""Phone numbers as all APIs here take them."""

from __future__ import annotations

import re

__all__ = ["E164", "without_separators"]

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""A number in E.164, with its plus. No emergency number is of this form."""

_SEPARATORS = str.maketrans("", "", " ().-")


def without_separators(text: str) -> str:
    """Return *text* without what people write between the digits of a number."""
    return text.translate(_SEPARATORS)
