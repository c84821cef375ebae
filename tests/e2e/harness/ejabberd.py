"""A throw-away ejabberd: plain `erl` without distribution, so no epmd, no cookie, no node name to collide."""

import glob
import os
import re
import shutil
import signal
from pathlib import Path

from . import certificate, ports
from .process import Process, directory

CONFIG = """
loglevel: info
hosts: ["{host}"]
language: en
{tls}
auth_method: internal
auth_password_format: plain
disable_sasl_mechanisms: ["digest-md5", "X-OAUTH2"]
s2s_access: none
listen:
  - {{ port: {c2s}, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: infinity, shaper: none{starttls} }}
  - {{ port: {web}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{ /ws: ejabberd_http_ws }} }}
{components}
acl: {{ local: {{ user_regexp: "" }} }}
access_rules: {{ local: {{ allow: local }} }}
shaper: {{}}
modules:
  mod_caps: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_pubsub: {{ plugins: ["flat", "pep"] }}
  mod_roster: {{}}
  mod_version: {{}}
"""

COMPONENT = """  - port: {port}
    ip: "{ip}"
    module: ejabberd_service
    access: all
    max_stanza_size: infinity
    shaper: none
    global_routes: false
    hosts: {{ {hosts} }}
"""


class Ejabberd:
    """An ejabberd that can be stopped, killed and started again with its accounts."""

    name = "ejabberd"

    def __init__(self, *, host: str, domains: dict[str, str], accounts: dict[str, str], also_at: str | None = None):
        """Components find it on the loopback interface, and at another address of this host where one is named."""
        self.host, self.domains, self.accounts = host, domains, accounts
        self.c2s, self.component, self._web = ports.free(), ports.free(), ports.free()
        self.websocket = f"ws://{ports.HOST}:{self._web}/ws"
        self._dir = directory("ejabberd")
        self._ready = self._dir / "ready"
        config = self._dir / "ejabberd.yml"
        config.write_text(self._config([ports.HOST, *([also_at] if also_at else [])]))
        self.process = Process(
            "ejabberd",
            ["erl", "-noinput", "+K", "true", *self._distribution(),
             "-mnesia", "dir", f'"{self._dir}/mnesia"', "-s", "ejabberd", "-eval", self._after_start()],
            log=self._dir / "console.log",
            cwd=self._dir,
            env={
                "EJABBERD_CONFIG_PATH": str(config),
                "EJABBERD_LOG_PATH": str(self._dir / "ejabberd.log"),
                "ERL_LIBS": _erlang_libraries(),
                "ERL_CRASH_DUMP": str(self._dir / "crash.dump"),
                "HOME": str(self._dir),
            },
        )  # fmt: skip

    def _distribution(self) -> list[str]:
        """What makes it a node that others reach: nothing here."""
        return []

    def _config(self, component_addresses: list[str]) -> str:
        pair = certificate.make(self._dir, self.host)
        tls = ""
        if pair:
            bundle = self._dir / "server.pem"
            bundle.write_text(pair[0].read_text() + pair[1].read_text())
            tls = f'certfiles: ["{bundle}"]'
        hosts = ", ".join(f'"{domain}": {{ password: "{secret}" }}' for domain, secret in self.domains.items())
        components = "".join(COMPONENT.format(ip=ip, port=self.component, hosts=hosts) for ip in component_addresses)
        return CONFIG.format(
            host=self.host, c2s=self.c2s, web=self._web, tls=tls, starttls=", starttls: true" if pair else "", components=components
        )

    def _after_start(self) -> str:
        """Runs inside ejabberd once it is up: makes the accounts, then says so with a file."""
        register = " ".join(
            f'ejabberd_auth:try_register(<<"{user}">>, <<"{self.host}">>, <<"{password}">>),'
            for user, password in self.accounts.items()
        )
        return f'{register} ok = file:write_file("{self._ready}", <<"ready">>).'

    def start(self) -> "Ejabberd":
        self._ready.unlink(missing_ok=True)
        self.process.start()
        self.process.wait_until(
            lambda: self._ready.exists() and ports.is_listening(self.c2s) and ports.is_listening(self.component),
            "its ports are open",
            patience=60,
        )
        return self

    def stop(self) -> None:
        self.process.signal(signal.SIGTERM)
        self.process.wait(30)

    def kill9(self) -> None:
        self.process.kill9()


def _erlang_libraries() -> str:
    """Where the distribution keeps ejabberd's own libraries: its control script says so."""
    control = shutil.which("ejabberdctl") or "/usr/sbin/ejabberdctl"
    if os.path.exists(control):
        found = re.search(r"ERL_LIBS='?([^'\n]+)", Path(control).read_text())
        if found and os.path.isdir(found.group(1)):
            return found.group(1)
    for path in glob.glob("/usr/lib/*/ejabberd-*"):
        return os.path.dirname(path)
    raise FileNotFoundError("ejabberd's libraries are not where its package puts them (is ejabberd installed?)")
