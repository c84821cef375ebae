"""The program under test: its configuration, its process, and what its HTTP side and its database say."""

import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import ports
from .network import Host
from .process import Process, directory

# Loads of the tests are more than people may send; what is too fast has tests of its own.
UNHURRIED = {f"{what}_per_minute": 0 for what in ("messages", "presences", "requests")}
ROOT = Path(__file__).resolve().parents[3]


def binary() -> Path:
    """The program: `TANDEM_MUC_BIN`, else the build that is newest."""
    if given := os.environ.get("TANDEM_MUC_BIN"):
        path = Path(given) if os.path.isabs(given) else ROOT / given
        if not path.is_file():
            raise FileNotFoundError(f"TANDEM_MUC_BIN names {path}, which does not exist")
        return path
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    built = [path for kind in ("debug", "release") if (path := target / kind / "tandem-muc").is_file()]
    if not built:
        raise FileNotFoundError(f"no tandem-muc under {target}: run `cargo build` first")
    return max(built, key=lambda path: path.stat().st_mtime)


class Component:
    """One node, described by its configuration file."""

    def __init__(self, *, domain: str, secret: str, server_port: int, url: str | None = None, extra: dict | None = None, folder: Path | None = None, name: str = "a"):
        self.name = name
        self.host: Host | None = None
        self.folder = folder or directory("component")
        self.database = self.folder / "rooms.db"
        self.http = ports.free()
        self.server_port = server_port
        self.config = self.folder / "component.toml"
        self.settings = {
            "node": {"name": name},
            "store": {"url": url or f"sqlite:{self.database}"},
            "service": [
                {
                    "domain": domain, "home": "a", "server": [f"{ports.HOST}:{server_port}"], "secret": secret, "admins": ["admin@localhost"],
                    "rates": UNHURRIED,
                }
            ],  # fmt: skip
            "http": {"listen": f"{ports.HOST}:{self.http}"},
            "log": {"format": "text"},
        }
        for section, keys in (extra or {}).items():
            target = self.settings["service"][0] if section == "service" else self.settings.setdefault(section, {})
            target.update(keys)
        self.process = Process(f"node {name}", [binary(), "run", "--config", self.config], log=self.folder / "component.log", cwd=self.folder)

    def lives_on(self, host: Host) -> None:
        """From its next start on it runs on a host of its own; its HTTP side is asked there."""
        self.host = host
        self.process.begins_with(host.enter)

    def write_config(self) -> None:
        self.config.write_text(toml(self.settings))
        self.config.chmod(0o600)

    def start(self, patience: float = 20) -> "Component":
        """Starts it and waits until it says that it is ready; gives itself."""
        self.launch()
        self.process.wait_until(self.is_ready, "it is ready", patience)
        return self

    def launch(self) -> None:
        self.write_config()
        self.process.start()

    def is_ready(self) -> bool:
        return self.http_get("/ready")[0] == 200

    def is_ready_for(self, domain: str) -> bool:
        """Whether it says that it serves this one of its domains."""
        text = self.http_get("/ready")[1]
        return text.startswith("{") and any(each["domain"] == domain and each["ready"] for each in json.loads(text)["domains"])

    def http_get(self, path: str) -> tuple[int, str]:
        """Status and text; status 0 while nobody answers."""
        return self.ask_http(urllib.request.Request(f"http://{ports.HOST}:{self.http}{path}"))

    def ask_http(self, request: urllib.request.Request) -> tuple[int, str]:
        def ask() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as refused:
                return refused.code, refused.read().decode(errors="replace")
            except OSError:
                return 0, ""

        return self.host.within(ask) if self.host else ask()

    @property
    def identity(self) -> tuple[int, list[int]]:
        """Process and stream: equal before and after means neither was replaced."""
        return self.process.pid, ports.connections(self.process.pid, self.server_port)

    def kill9(self) -> None:
        self.process.kill9()

    def freeze(self) -> None:
        """Stops it in mid-sentence, as a lost host or a stuck hypervisor would; its connections stay open."""
        self.process.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.signal(signal.SIGCONT)

    def terminate(self, patience: float = 5) -> tuple[int, float]:
        """Asks it to end as systemd would; gives exit code and seconds."""
        began = time.monotonic()
        self.process.signal(signal.SIGTERM)
        return self.process.wait(patience), time.monotonic() - began

    def command(self, *words: str, patience: float = 30) -> subprocess.CompletedProcess:
        """Runs the program with other words, e.g. `check`; output as text."""
        self.write_config()
        return subprocess.run(
            [*(self.host.enter if self.host else []), binary(), *words, "--config", self.config], capture_output=True, text=True, timeout=patience, cwd=self.folder, stdin=subprocess.DEVNULL
        )

    def rows(self, sql: str) -> list[tuple]:
        """Reads the SQLite database as an operator would."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


def toml(settings: dict) -> str:
    """The few shapes of TOML a configuration needs: tables, arrays of tables, tables inside them, JSON-like values."""
    lines: list[str] = []
    for section, content in settings.items():
        tables = content if isinstance(content, list) else [content]
        for table in tables:
            inner = {key: value for key, value in table.items() if isinstance(value, dict)}
            lines.append(f"[[{section}]]" if isinstance(content, list) else f"[{section}]")
            lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items() if key not in inner]
            for name, values in inner.items():
                lines.append(f"[{section}.{name}]")
                lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
            lines.append("")
    return "\n".join(lines)
