"""A wall clock that is wrong, and jumps when told to: libfaketime in front of the system's, its offset in a file.

The monotonic clock is left alone, as the kernel leaves it alone when somebody sets the time, unless asked for.
"""

import glob
import os
import re
import time
from pathlib import Path

from .process import directory
from .waiting import until

_SECONDS_TO_HEED = 1  # libfaketime reads its file again after so many


def library() -> str | None:
    """Where libfaketime is; nothing if it is not installed."""
    return next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


class Clock:
    """A clock that differs from the real one by so many seconds; a process lives by it that begins with its `words`."""

    def __init__(self, offset_s: int = 0, *, is_monotonic_too: bool = False):
        folder = directory("clock")
        folder.chmod(0o755)  # also a process of another user reads it
        self._file: Path = folder / "offset"
        self.words = [
            "env",
            f"LD_PRELOAD={library()}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            f"FAKETIME_CACHE_DURATION={_SECONDS_TO_HEED}",
            f"FAKETIME_DONT_FAKE_MONOTONIC={0 if is_monotonic_too else 1}",
        ]
        self._write(offset_s)

    def _write(self, offset_s: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.rename(self._file)

    def jump(self, offset_s: int, read_s, within_s: float = 10) -> None:
        """Sets it, and waits until `read_s()`, what somebody who lives by it says of the time, differs by that much."""
        self._write(offset_s)
        until(lambda: abs(read_s() - time.time() - offset_s) < 60, lambda: f"it is {offset_s} s off: {read_s() - time.time()}", within_s)


def sweep() -> None:
    """Removes what libfaketime leaves in shared memory when its process is killed."""
    for path in glob.glob("/dev/shm/*faketime_*"):
        pid = re.search(r"\d+$", path)
        if pid and not os.path.exists(f"/proc/{pid.group()}"):
            Path(path).unlink(missing_ok=True)
