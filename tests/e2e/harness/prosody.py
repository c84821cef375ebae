"""A throw-away Prosody: one host, accounts written straight into its data directory, one component port."""

import shutil
import signal
from pathlib import Path

from . import certificate, ports
from .process import Process, directory

CONFIG = """
run_as_root = true
pidfile = "{dir}/prosody.pid"
data_path = "{dir}/data"
log = {{ {{ levels = {{ min = "info" }}, to = "console", timestamps = true }} }}
plugin_paths = {{}}
modules_enabled = {{ "disco", "roster", "saslauth", "tls", "ping", "version", "vcard4", "pep", "websocket" }}
modules_disabled = {{ "s2s" }}
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
c2s_direct_tls_ports = {{}}
legacy_ssl_ports = {{}}
s2s_ports = {{}}
http_ports = {{ {web} }}
http_interfaces = {{ "127.0.0.1" }}
http_default_host = "{host}"
consider_websocket_secure = true
https_ports = {{}}
component_ports = {{ {component} }}
component_interfaces = {{ {component_interfaces} }}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
limits = {{}}
network_settings = {{ nagle = {nagle} }}
{tls}
VirtualHost "{host}"
"""

COMPONENT = """
Component "{domain}"
    component_secret = "{secret}"
    component_conflict_resolve = "kick_old"
    validate_from_addresses = true
"""


class Prosody:
    """A Prosody that can be stopped, killed and started again with its accounts."""

    name = "prosody"

    def __init__(self, *, host: str, domains: dict[str, str], accounts: dict[str, str], nagle: bool = True, also_at: str | None = None):
        """Components find it on the loopback interface, and at another address of this host where one is named."""
        self.host, self.domains, self.accounts = host, domains, accounts
        self.c2s, self.component, self._web = ports.free(), ports.free(), ports.free()
        self.websocket = f"ws://{ports.HOST}:{self._web}/xmpp-websocket"
        self._dir = directory("prosody")
        self._write_accounts()
        config = self._dir / "prosody.cfg.lua"
        config.write_text(self._config(nagle, [ports.HOST, *([also_at] if also_at else [])]))
        binary = shutil.which("prosody") or "/usr/bin/prosody"
        self.process = Process("prosody", [binary, "--config", config, "-F"], log=self._dir / "prosody.log", cwd=self._dir)

    def _config(self, nagle: bool, component_interfaces: list[str]) -> str:
        pair = certificate.make(self._dir, self.host)
        tls = 'ssl = {{ certificate = "{}", key = "{}" }}'.format(*pair) if pair else ""
        text = CONFIG.format(
            dir=self._dir, c2s=self.c2s, component=self.component, web=self._web, nagle=str(nagle).lower(), tls=tls, host=self.host,
            component_interfaces=", ".join(f'"{address}"' for address in component_interfaces),
        )  # fmt: skip
        return text + "".join(COMPONENT.format(domain=domain, secret=secret) for domain, secret in self.domains.items())

    def _write_accounts(self) -> None:
        accounts: Path = self._dir / "data" / self.host.replace(".", "%2e").replace("-", "%2d") / "accounts"
        accounts.mkdir(parents=True)
        for user, password in self.accounts.items():
            (accounts / f"{user}.dat").write_text(f'return {{ ["password"] = "{password}" }};\n')

    def start(self) -> "Prosody":
        self.process.start()
        self.process.wait_until(lambda: ports.is_listening(self.c2s) and ports.is_listening(self.component), "its ports are open")
        return self

    def stop(self) -> None:
        self.process.signal(signal.SIGTERM)
        self.process.wait(15)

    def kill9(self) -> None:
        self.process.kill9()
