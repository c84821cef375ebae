"""The one database two nodes share, as an operator reads it: SQLite's file or a PostgreSQL's database."""

import shutil
import sqlite3
from pathlib import Path

from .postgres import Postgres


class Sqlite:
    """A file for two nodes on one machine."""

    kind = "sqlite"

    def __init__(self, folder: Path):
        self.path = folder / "rooms.db"
        self.url = f"sqlite:{self.path}"

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        """What a query gives, every value as text, nothing as an empty one."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            return [tuple("" if value is None else str(value) for value in row) for row in connection.execute(sql)]
        finally:
            connection.close()

    def execute(self, sql: str) -> None:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                connection.executescript(sql)
        finally:
            connection.close()

    def back_up(self, to: Path) -> None:
        """A copy as a backup tool makes it, while others write."""
        source, copy = sqlite3.connect(self.path, timeout=10), sqlite3.connect(to)
        try:
            source.backup(copy)
        finally:
            source.close()
            copy.close()

    def restore(self, backup: Path) -> None:
        """Puts a backup in the place of the file; whoever has it open must be gone."""
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        shutil.copy(backup, self.path)


class Postgresql:
    """A database of its own on a running PostgreSQL."""

    kind = "postgresql"

    def __init__(self, postgres: Postgres, name: str, through_port: int | None = None):
        self.postgres, self.name = postgres, name
        self.url = postgres.create(name)
        if through_port:
            self.url = self.url.replace(f":{postgres.port}/", f":{through_port}/")

    def rows(self, sql: str) -> list[tuple[str, ...]]:
        return [tuple(row) for row in self.postgres.rows(self.name, sql)]

    def execute(self, sql: str) -> None:
        self.postgres.rows(self.name, sql)

    def end_sessions(self, label: str) -> int:
        """Ends the backends of every session labelled like this; how many."""
        sql = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE '{label}' AND pid <> pg_backend_pid()"
        return int(self.rows(sql)[0][0])
