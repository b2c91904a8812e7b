"""The installed version."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("vapimedia")
except PackageNotFoundError:  # run from a source tree
    __version__ = "0+unknown"
