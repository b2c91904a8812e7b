from typing import Final

__all__ = ["simd"]

simd: Final[str]
