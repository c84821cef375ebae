"""The relay beside the XMPP server: its configuration, its process, and what it says of itself."""

import json
import urllib.error
import urllib.request

from . import ports
from .component import binary, toml
from .process import Process, directory


class Relay:
    """`tandem-muc relay` for some domains of one server, on ports it keeps over restarts."""

    def __init__(self, *, domains: dict[str, str], server_port: int, limits: dict | None = None, at: str = ports.HOST):
        """Nodes find it at address `at` of this host."""
        self.port, self.http, self.server_port = ports.free(), ports.free(), server_port
        self.domains, self.limits, self.at = domains, limits or {}, at
        self.folder = directory("relay")
        self.config = self.folder / "relay.toml"
        self.process = Process("relay", [binary(), "relay", "--config", self.config], log=self.folder / "relay.log", cwd=self.folder)

    def start(self) -> "Relay":
        """Starts it and waits until nodes can reach it."""
        self.write_config()
        self.process.start()
        self.process.wait_until(lambda: ports.is_listening(self.port) and ports.is_listening(self.http), "its ports are open")
        return self

    def write_config(self) -> None:
        listen, server = f"{self.at}:{self.port}", f"{ports.HOST}:{self.server_port}"
        settings = {
            "domain": [{"domain": domain, "secret": secret, "server": [server], "listen": listen} for domain, secret in self.domains.items()],
            "http": {"listen": f"{ports.HOST}:{self.http}"},
            **({"limits": self.limits} if self.limits else {}),
        }
        self.config.write_text(toml(settings))
        self.config.chmod(0o600)

    def kill9(self) -> None:
        self.process.kill9()

    def status(self) -> dict:
        """What `/status` says; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{ports.HOST}:{self.http}/status", timeout=5) as answer:
                return json.load(answer)
        except (OSError, urllib.error.HTTPError):
            return {}
