"""Why an object's memory cannot be used, in one sentence. Loaded with the first such error."""

from __future__ import annotations

from typing import Any

__all__ = ["misfit", "not_mono", "refusal"]


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
    expected = "bytes" if max_itemsize == 1 else "bytes or native 16-bit integers"
    if code.lstrip("<>=@!") in ("e", "f", "d"):
        advice = "floats in -1..1 become 16-bit samples by (array * 32767).astype('int16')"
        if max_itemsize == 1:
            advice += ", and those become codes by mulaw_encode or alaw_encode"
    elif max_itemsize == 1:
        advice = "codes are uint8, 16-bit samples become codes by mulaw_encode or alaw_encode"
    else:
        advice = "convert them to int16"
    return TypeError(f"got {itemsize}-byte items of format {code!r}, expected {expected}; {advice}")


def not_mono(given: Any) -> ValueError:
    """Return the error for an array with several channels."""
    return ValueError(
        f"got an array of shape {memoryview(given).shape}, expected (n,): a stream is mono; give each channel its"
        " own, or take resample for whole signals"
    )
