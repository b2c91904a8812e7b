"""The bridge that a user has written, found by its name."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path

from vapimedia.errors import ConfigError
from vapimedia.io.bridge import Bridge
from vapimedia.io.user_code import place_of

__all__ = ["load_app"]


def load_app(spec: str) -> Bridge:
    """Import the bridge that *spec* (``pkg.mod:bridge``) names. Raises ``ConfigError``."""
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute.isidentifier():
        raise ConfigError(f"app must look like pkg.mod:bridge, not {spec!r}")
    if module_name.endswith(".py"):
        name = module_name.removesuffix(".py").removeprefix("./").replace("/", ".")
        raise ConfigError(f"app names a module, not its file; drop .py: {name}:{attribute}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # an installed command does not look where it was started
    try:
        module = importlib.import_module(module_name)
    except (
        Exception
    ) as error:  # the user's module may raise anything; it is the user's error, told in one line
        logging.getLogger("vapimedia").debug("importing %s failed", module_name, exc_info=True)
        raise ConfigError(
            f"cannot import the app {module_name!r}: {type(error).__name__}: {error}{place_of(error)}"
        ) from None
    found = getattr(module, attribute, None)
    if not isinstance(found, Bridge):
        what = "has no such name" if found is None else f"holds a {type(found).__name__}, not a Bridge"
        raise ConfigError(f"app {spec!r}: {module_name} {what}")
    return found
