"""The samples under `conf/` work as they are: real servers load them, and the program accepts every key."""

import configparser
import re
import shutil
import subprocess
import tomllib

import pytest
from harness import component, ejabberd, ports, prosody
from harness.client import Client
from harness.component import Component

CONF = component.ROOT / "conf"
DOMAIN, SECRET = "conference.example.org", "change me"


def sample_prosody(monkeypatch):
    text = (CONF / "prosody" / "tandem-muc.cfg.lua").read_text()
    port = ports.free()
    sample = text.replace("{ 5347 }", f"{{ {port} }}")
    assert sample != text
    # The sample's own lines in place of the harness's: global ones first, hosts after them, as in a real file.
    head, component_part = re.split(r"(?m)^Component ", sample)
    base = re.sub(r"(?m)^(component_ports|component_interfaces|network_settings) = .*$", "", prosody.CONFIG)
    quoted = head.replace("{", "{{").replace("}", "}}")
    monkeypatch.setattr(prosody, "CONFIG", base.replace("VirtualHost", quoted + "VirtualHost"))
    monkeypatch.setattr(prosody, "COMPONENT", "Component " + component_part.replace("{", "{{").replace("}", "}}"))
    server = prosody.Prosody(host="example.org", domains={DOMAIN: SECRET}, accounts={"alice": "a"})
    server.component = port
    return server


def sample_ejabberd(monkeypatch):
    text = (CONF / "ejabberd" / "tandem-muc.yml").read_text()
    listener = text.partition("listen:\n")[2]
    assert "5347" in listener
    monkeypatch.setattr(ejabberd, "COMPONENT", listener.replace("{", "{{").replace("}", "}}").replace("5347", "{port}"))
    return ejabberd.Ejabberd(host="example.org", domains={DOMAIN: SECRET}, accounts={"alice": "a"})


@pytest.mark.parametrize("sample", [sample_prosody, sample_ejabberd], ids=["prosody", "ejabberd"])
def test_the_server_loads_the_sample_and_a_room_opens(monkeypatch, sample):
    server = sample(monkeypatch)
    node = Component(domain=DOMAIN, secret=SECRET, server_port=server.component)
    try:
        server.start()
        node.start()
        alice = Client("alice", "a", host="example.org", port=server.c2s, service=DOMAIN).connect()
        alice.create("hall", "Alice")
        alice.say_heard("hall", "it works")
        alice.abort()
    finally:
        node.process.end()
        server.process.end()


def test_prosody_itself_finds_no_fault_with_its_sample(tmp_path):
    """`luac` where it is installed: the sample parses on its own."""
    luac = next((path for name in ("luac5.4", "luac5.3", "luac") if (path := shutil.which(name))), None)
    if luac is None:
        pytest.skip("no luac here; the sample is loaded by the real server in the other test")
    subprocess.run([luac, "-p", str(CONF / "prosody" / "tandem-muc.cfg.lua")], check=True, cwd=tmp_path)


def uncommented(folder, server) -> str:
    """component.toml with every default written out, and the few places that belong to one machine replaced."""
    text = (CONF / "component.toml").read_text()
    text = re.sub(r"(?m)^#([a-z_]+ = |\[[a-z.]+\]$)", r"\1", text)
    secret = folder / "secret"
    secret.write_text(SECRET)
    (folder / "token").write_text("some random words")
    for key, value in {
        "url": f'"sqlite:{folder}/rooms.db"',
        "server": f'["127.0.0.1:{server.component}"]',
        "secret_file": f'"{secret}"',
        "token_file": f'"{folder}/token"',
        "relay": "[]",
        "listen": f'"127.0.0.1:{ports.free()}"',
        "domain": '"conference.localhost"',
    }.items():
        text, count = re.subn(rf"(?m)^{key} = (?!\"https:).*$", f"{key} = {value}", text)
        assert count == 1, f"{key} stands {count} times in component.toml"
    return re.sub(r"(?m)^(url_file|secret|avatar) = .*\n", "", text)


def test_every_key_of_the_documented_configuration_is_known(own_server, tmp_path):
    server = own_server("prosody")
    text = uncommented(tmp_path, server)
    assert len(re.findall(r"(?m)^[a-z_]+ = ", text)) >= 30, "the keys were found"
    (tmp_path / "secret").write_text("e2e-secret")
    config = tmp_path / "component.toml"
    config.write_text(text)
    tomllib.loads(text)
    done = subprocess.run([component.binary(), "check", "--config", config], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_is_one_systemd_would_load():
    unit = CONF / "systemd" / "tandem-muc.service"
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(unit.read_text())
    service = dict(parser["Service"])
    assert service["Type"] == "notify" and int(service["WatchdogSec"]) > 0
    assert service["ProtectSystem"] == "strict" and service["DynamicUser"] == "yes"
    for command in ("ExecStart", "ExecStartPre"):
        assert re.fullmatch(r"/usr/bin/tandem-muc (run|migrate) --config /etc/tandem-muc/component.toml", service[command])
    analyze = shutil.which("systemd-analyze")
    if analyze:
        said = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=30).stderr
        wrong = [line for line in said.splitlines() if "tandem-muc.service" in line and "is not executable" not in line]
        assert not wrong, "\n".join(wrong)
