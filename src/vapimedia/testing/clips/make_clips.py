"""Make the speech clips of the demo dialogue: ``python make_clips.py`` (needs espeak-ng and sox on the path).

Each clip becomes a mono mulaw/8000 WAV beside this file: what a telephone caller hears, small enough to ship.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VOICES = {"assistant": ["-v", "en-us+f3", "-s", "165", "-p", "55"], "caller": ["-v", "en-gb+m3", "-s", "170"]}
MAX_TOTAL_BYTES = 300_000


def make_clip(name: str, speaker: str, text: str) -> int:
    """Speak *text* in the speaker's voice, limit it to the telephone band, and return the file's size."""
    target = HERE / f"{name}.wav"
    with tempfile.TemporaryDirectory() as folder:
        spoken = str(Path(folder) / "spoken.wav")
        # S603: fixed programs, texts from our own table, no shell.
        subprocess.run(["espeak-ng", *VOICES[speaker], "-w", spoken, text], check=True)  # noqa: S603, S607
        shape = ["highpass", "200", "lowpass", "3400", "norm", "-4", "rate", "-v", "8000"]
        start = ["silence", "1", "0.01", "0.5%", "fade", "0.005"]
        edges = [*start, "reverse", *start, "reverse", "pad", "0.02", "0.02"]
        encode = ["-e", "mu-law", "-b", "8", "-c", "1"]
        command = ["sox", "-R", spoken, *encode, str(target), *shape, *edges]
        subprocess.run(command, check=True)  # noqa: S603
    return target.stat().st_size


def main() -> int:
    """Make every clip of the table and check the budget."""
    from vapimedia.testing.clips import CLIPS  # noqa: PLC0415  # the script also has to answer without the package

    missing = [tool for tool in ("espeak-ng", "sox") if shutil.which(tool) is None]
    if missing:
        print(
            f"{' and '.join(missing)} not found; install with: apt-get install espeak-ng sox", file=sys.stderr
        )
        return 2
    total = sum(make_clip(clip.name, clip.speaker, clip.text) for clip in CLIPS.values())
    print(f"{len(CLIPS)} clips, {total} bytes")
    return 0 if total <= MAX_TOTAL_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
