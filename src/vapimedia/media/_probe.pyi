"""Private, for tests: no part of the API, and nothing else of vapimedia imports it."""

from vapimedia.media.path import MediaPath
from vapimedia.media.playout import PlayoutPath

def count_allocations(
    path: MediaPath | None, messages: list[bytes], is_text: bool, now_ns: int, step_ns: int
) -> tuple[int, int, int]:
    """For tests only: pass *messages* through *path* as the pump does, *step_ns* apart.

    Return how often Python's allocators were called meanwhile, how many messages were taken, and how many bytes
    came out. No other thread may run Python code. With no path, one object is made and dropped: the counter works.
    """

def read_clock(n_times: int) -> int:
    """For benchmarks only: read the clock so often."""

def record_frames(path: MediaPath, frame: bytes, n_frames: int) -> None:
    """For benchmarks only: record all that is recorded of *n_frames* messages, and do nothing else with them."""

def forget_frames(path: PlayoutPath) -> None:
    """For tests only: let *path* send any size, as if its messages need not be exact frames; only its check knows."""

def spare_pages(path: MediaPath) -> int:
    """Return how many pages wait for a queue to need them, in the pool that *path* shares with all others."""
