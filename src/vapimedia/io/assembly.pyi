"""A message that comes in fragments."""

class Assembly:
    """Collects one fragmented message, 16 fragments at most. For other Cython code."""

    is_text: bool
