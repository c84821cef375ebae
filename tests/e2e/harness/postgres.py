"""A throw-away PostgreSQL with fsync on, run by an unprivileged user, for tests that stop it in every way."""

import glob
import os
import pwd
import re
import signal
import subprocess

from . import ports
from .process import Process, directory


class Postgres:
    """One cluster in a directory; databases are made per test."""

    def __init__(self, also_at: str | None = None):
        """Listens on the loopback interface, and at another address of this host where one is named."""
        self.port = ports.free()
        self._bin = _binaries()
        self._owner = _unprivileged_user()
        self._dir = directory("postgres", self._owner)
        self.socket_dir = self._dir
        self._data = self._dir / "data"
        self._as_owner("initdb", "-D", self._data, "-U", "tandem", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        if also_at:
            with open(self._data / "pg_hba.conf", "a") as rules:
                rules.write(f"host all all {also_at}/24 trust\n")
        self.process = Process(
            "postgres",
            [f"{self._bin}/postgres", "-D", self._data, "-p", self.port, "-k", self.socket_dir,
             "-c", f"listen_addresses={','.join(filter(None, (ports.HOST, also_at)))}", "-c", "max_connections=50", "-c", "log_min_messages=warning"],
            log=self._dir / "postgres.log",
            cwd=self._dir,
            user=self._owner,
            last_word=signal.SIGQUIT,  # killed outright, it would leave its shared memory behind
        )  # fmt: skip

    def start(self) -> "Postgres":
        self.process.start()
        self.process.wait_until(self.answers, "it answers")
        return self

    def answers(self) -> bool:
        return self._run("pg_isready", "-q", "-h", ports.HOST, "-p", self.port, check=False).returncode == 0

    def stop(self, how: str = "fast") -> None:
        """`fast` rolls back and disconnects; `immediate` drops everything, as a crash would."""
        self.process.signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
        self.process.wait(30)

    def create(self, database: str) -> str:
        """A new, empty database; gives its URL."""
        self._run("createdb", "-h", ports.HOST, "-p", self.port, "-U", "tandem", database)
        return f"postgres://tandem@{ports.HOST}:{self.port}/{database}"

    def rows(self, database: str, sql: str) -> list[list[str]]:
        done = self._run("psql", "-h", ports.HOST, "-p", self.port, "-U", "tandem", "-d", database, "-X", "-A", "-t", "-F", "\x1f", "-R", "\x1e", "-c", sql)  # fmt: skip
        text = done.stdout.decode().rstrip("\n")
        return [row.split("\x1f") for row in text.split("\x1e")] if text else []

    def _run(self, program: str, *args, check: bool = True) -> subprocess.CompletedProcess:
        return _checked(subprocess.run([f"{self._bin}/{program}", *map(str, args)], capture_output=True, cwd="/", timeout=60), check)

    def _as_owner(self, program: str, *args) -> None:
        words = [f"{self._bin}/{program}", *map(str, args)]
        if self._owner:
            words = ["setpriv", "--reuid", self._owner, "--regid", self._owner, "--init-groups", "--", *words]
        _checked(subprocess.run(words, capture_output=True, cwd=self._dir, timeout=60), True)


def _checked(done: subprocess.CompletedProcess, check: bool) -> subprocess.CompletedProcess:
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(done.args)} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def _binaries() -> str:
    """The newest PostgreSQL of the distribution; its server programs are not on the path."""
    found = glob.glob("/usr/lib/postgresql/*/bin")
    if not found:
        raise FileNotFoundError("no PostgreSQL server under /usr/lib/postgresql (is the package postgresql installed?)")
    return max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: its package's own user, else nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            continue
    raise RuntimeError("running as root, and there is neither a user postgres nor a user nobody to run PostgreSQL as")
