"""A message that comes in fragments."""

class Assembly:
    """Collects one fragmented message, 64 fragments at most. For other Cython code."""

    is_text: bool
