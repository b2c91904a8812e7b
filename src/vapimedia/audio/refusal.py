"""Why an object's memory cannot be used, in one sentence. Loaded with the first such error."""

from __future__ import annotations

from typing import Any

__all__ = ["misfit", "refusal"]


def refusal(given: Any, for_writing: bool) -> BufferError:
    """Return the error for an object with the buffer protocol that did not give its memory."""
    name = type(given).__name__
    try:
        view = memoryview(given)
    except (BufferError, ValueError) as error:  # a released memoryview, an array of objects
        return BufferError(f"cannot borrow the memory of this {name}: {error}")
    with view:
        if for_writing and view.readonly:
            return BufferError(
                f"cannot write into a read-only {name}; pass a bytearray or a writable contiguous array"
            )
        return BufferError(
            f"cannot take a {name} of strides {view.strides} for items of {view.itemsize} bytes: it is not"
            " C-contiguous; pass a copy (numpy.ascontiguousarray)"
        )


def misfit(code: str, itemsize: int, max_itemsize: int) -> TypeError:
    """Return the error for items of *itemsize* bytes with the format *code* of ``struct``."""
    if max_itemsize == 1:
        expected = "bytes; convert them to uint8"
    else:
        expected = "bytes or native 16-bit integers; convert them to int16"
    return TypeError(f"got {itemsize}-byte items of format {code!r}, expected {expected}")
