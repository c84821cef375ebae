"""One child process: started, watched, and ended on every way out.

The kernel ends a child whose parent is gone (parent-death signal), so even `kill -9` of the tests leaves nothing
running. Ending is always by process id. What a child prints is kept in a file and shown when a test fails.
"""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class Died(AssertionError):
    """A process ended while something was expected of it."""


started: list["Process"] = []
_directories: list[Path] = []


class Process:
    """A child with a name, a log file and a process id."""

    def __init__(self, name: str, argv: list, *, log: Path, env: dict | None = None, cwd: Path | None = None, user: str | None = None, last_word: signal.Signals = signal.SIGKILL):
        self.name, self.log = name, log
        self._last_word = last_word  # what ends it when the tests end, however they end
        self._argv = [str(word) for word in argv]
        self._env, self._cwd, self._user = env, cwd, user
        self._child: subprocess.Popen | None = None
        self.log_seen = 0  # where the current test's part of the log begins
        started.append(self)

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} was never started"
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def dies_at(self, point: str | None) -> None:
        """From its next start on it ends itself, as by `kill -9`, at this fail point; at none again with `None`."""
        self._env = {**(self._env or {}), "TANDEM_MUC_FAIL_AT": point or ""}

    def begins_with(self, words: list[str]) -> None:
        """From its next start on it is run by these words, which must become it."""
        self._argv = [*words, *self._argv]

    def start(self) -> "Process":
        assert not self.is_alive, f"{self.name} runs already"
        guard = ["setpriv", "--pdeathsig", self._last_word.name.removeprefix("SIG")]
        if self._user:
            guard += ["--reuid", self._user, "--regid", self._user, "--init-groups"]
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                guard + ["--"] + self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(self._env or {})},
                cwd=self._cwd or "/",
                start_new_session=True,  # Ctrl-C reaches the tests, not their children
            )
        return self

    def wait_until(self, is_so, what: str, patience: float = 30) -> None:
        """Waits for a condition of this process; its end is an answer too."""
        deadline = time.monotonic() + patience
        while not is_so():
            if not self.is_alive:
                raise Died(f"{self.name} ended with {self._child.returncode} before {what}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise Died(f"{self.name}: {what} did not come within {patience} s:\n{self.log_tail()}")
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        if self.is_alive:
            os.kill(self.pid, number)

    def wait(self, patience: float) -> int:
        """Waits for its end and gives the exit code (negative: the signal that ended it)."""
        try:
            return self._child.wait(patience)
        except subprocess.TimeoutExpired:
            raise Died(f"{self.name} (pid {self.pid}) still runs after {patience} s:\n{self.log_tail()}") from None

    def kill9(self) -> None:
        """Ends it as a power cut would."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait(10)

    def end(self) -> None:
        """Ends it for good."""
        if self.is_alive and self._last_word != signal.SIGKILL:
            self.signal(self._last_word)
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                pass
        self.kill9()

    def log_text(self) -> str:
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])


def directory(name: str, owner: str | None = None) -> Path:
    """A throw-away directory that goes with the tests."""
    path = Path(tempfile.mkdtemp(prefix=f"tandem-{name}-"))
    if owner:
        shutil.chown(path, owner, owner)
    _directories.append(path)
    return path


def end_all() -> None:
    """Ends every process and removes every directory; safe to call twice."""
    for process in reversed(started):
        process.end()
    started.clear()
    while _directories:
        shutil.rmtree(_directories.pop(), ignore_errors=True)


def _on_signal(_number, _frame):
    raise KeyboardInterrupt  # the one way out that test runner and demo already know


atexit.register(end_all)
for _number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, _on_signal)
