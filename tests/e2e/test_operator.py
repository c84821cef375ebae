"""What an operator gets wrong: one clear sentence, an exit code that is not zero, nothing lost."""

import os
import re
import signal
import socket
import sqlite3
import subprocess

import pytest
from harness import ports
from harness.client import Refused

SENTENCE = re.compile(r"\w+[^\n]{15,}")


def failure(component, *command: str, names: list[str]) -> str:
    """Runs a command that must fail soon and name these things; no stack trace, no secret, no debug print."""
    done = component.command(*command)
    said = done.stderr + done.stdout
    assert done.returncode not in (0, 101) and done.returncode > 0, f"{command} ended with {done.returncode}:\n{said}"
    assert SENTENCE.search(said), f"{command} said nothing that helps: {said!r}"
    for name in names:
        assert name.lower() in said.lower(), f"{command} does not name {name!r}:\n{said}"
    assert "panicked" not in said and "RUST_BACKTRACE" not in said
    assert "e2e-secret" not in said, "the secret was printed"
    return said


@pytest.fixture
def prosody(own_server):
    return own_server("prosody")


def test_check_is_content_with_a_good_configuration(prosody, node):
    component = node(prosody, is_started=False)
    done = component.command("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "e2e-secret" not in done.stdout + done.stderr


def test_migrate_makes_the_tables_and_may_be_repeated(prosody, node):
    component = node(prosody, is_started=False)
    for _ in range(2):
        done = component.command("migrate")
        assert done.returncode == 0, done.stdout + done.stderr
    tables = {row[0] for row in component.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"muc_room", "muc_affiliation", "muc_occupant", "muc_message", "muc_lease", "muc_fence"} <= tables


def test_migrate_makes_the_tables_on_postgresql(prosody, node, postgres):
    component = node(prosody, is_started=False, url=postgres.create("migrated"))
    assert component.command("migrate").returncode == 0
    assert postgres.rows("migrated", "SELECT count(*) FROM muc_room") == [["0"]]


@pytest.mark.parametrize("command", ["run", "check", "migrate"])
def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_key(prosody, node, command):
    component = node(prosody, is_started=False, extra={"node": {"nmae": "b"}})
    said = failure(component, command, names=["nmae", "name", "component.toml"])
    line = component.config.read_text().splitlines().index('nmae = "b"') + 1
    assert re.search(rf"\b{line}\b", said), f"line {line} is not named:\n{said}"


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_configuration_is_named(prosody, node, command, tmp_path):
    component = node(prosody, is_started=False)
    done = subprocess.run([component.process._argv[0], command, "--config", str(tmp_path / "none.toml")], capture_output=True, text=True, timeout=20)
    assert done.returncode > 0 and "none.toml" in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["run", "check"])
def test_broken_toml_is_refused_with_its_line(prosody, node, command, tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text('[node]\nname = "a"\n[store\nurl = 1\n')
    component = node(prosody, is_started=False)
    done = subprocess.run([component.process._argv[0], command, "--config", str(broken)], capture_output=True, text=True, timeout=20)
    said = done.stderr + done.stdout
    assert done.returncode > 0 and "broken.toml" in said and re.search(r"\b3\b", said), said


def test_check_finds_a_wrong_secret(prosody, node):
    failure(node(prosody, is_started=False, secret="not it"), "check", names=["not-authorized", "secret"])


def test_check_finds_a_domain_the_server_does_not_know(prosody, node):
    component = node(prosody, is_started=False, extra={"service": {"domain": "elsewhere.localhost"}})
    failure(component, "check", names=["elsewhere.localhost"])


def test_check_finds_a_server_that_is_not_there(prosody, node):
    component = node(prosody, is_started=False)
    component.settings["service"][0]["server"] = [f"127.0.0.1:{(port := ports.free())}"]
    failure(component, "check", names=[str(port)])


def test_run_keeps_trying_with_a_wrong_secret_and_says_why(prosody, node):
    component = node(prosody, is_started=False, secret="not it")
    component.launch()
    component.process.wait_until(lambda: "not-authorized" in component.process.log_text(), "it says that the secret is refused")
    assert not component.is_ready()
    code, _ = component.terminate()
    assert code == 0


@pytest.mark.parametrize("command", ["run", "check", "migrate"])
def test_a_database_in_a_place_that_is_not_there_is_named(prosody, node, command):
    component = node(prosody, is_started=False, url="sqlite:/nowhere/at/all/rooms.db")
    failure(component, command, names=["/nowhere/at/all"])


@pytest.mark.parametrize("command", ["run", "check", "migrate"])
def test_a_file_that_is_no_database_is_named(prosody, node, command):
    component = node(prosody, is_started=False)
    component.database.write_bytes(b"this is not a database, but long enough to look at" * 100)
    failure(component, command, names=["rooms.db"])
    assert component.database.read_bytes().startswith(b"this is not"), "it was left alone"


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_postgresql_that_is_not_there_is_named(prosody, node, command):
    port = ports.free()
    component = node(prosody, is_started=False, url=f"postgres://tandem:hidden-word@127.0.0.1:{port}/rooms")
    assert "hidden-word" not in failure(component, command, names=[str(port)])


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_newer_schema_is_left_alone(prosody, node, command):
    component = node(prosody, is_started=False)
    assert component.command("migrate").returncode == 0
    with sqlite3.connect(component.database) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(muc_schema_version)")]
        newest = dict(zip(columns, database.execute("SELECT * FROM muc_schema_version ORDER BY 1 DESC").fetchone(), strict=True))
        key = columns[0]
        newest[key] = 9999
        database.execute(f"INSERT INTO muc_schema_version ({', '.join(newest)}) VALUES ({', '.join('?' * len(newest))})", list(newest.values()))
    database.close()
    failure(component, command, names=["schema"])


def test_run_names_a_port_that_is_taken(prosody, node):
    component = node(prosody, is_started=False)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", component.http))
        squatter.listen()
        failure(component, "run", names=[str(component.http)])


def test_an_environment_variable_that_is_not_set_is_named(prosody, node):
    component = node(prosody, is_started=False, secret="${TANDEM_E2E_NOT_SET}")
    failure(component, "check", names=["TANDEM_E2E_NOT_SET"])


def test_a_secret_may_come_from_a_file_or_from_the_environment(prosody, node, monkeypatch):
    monkeypatch.setenv("TANDEM_E2E_SECRET", "e2e-secret")
    assert node(prosody, is_started=False, secret="${TANDEM_E2E_SECRET}").command("check").returncode == 0
    component = node(prosody, is_started=False)
    secret = component.folder / "secret"
    secret.write_text("e2e-secret\n")
    secret.chmod(0o600)
    del component.settings["service"][0]["secret"]
    component.settings["service"][0]["secret_file"] = str(secret)
    done = component.command("check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_nodes_of_one_name_do_not_share_a_database(prosody, node):
    first = node(prosody)
    second = node(prosody, is_started=False, url=f"sqlite:{first.database}")
    second.launch()
    second.process.wait_until(lambda: re.search(r"calls itself node a", second.process.log_text()) is not None or not second.process.is_alive, "it says that its name is taken")
    assert not second.is_ready()
    assert first.is_ready()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere: the read-only database is tried as another user only")
def test_a_database_that_cannot_be_written_is_named(prosody, node):
    component = node(prosody, is_started=False)
    assert component.command("migrate").returncode == 0
    component.database.chmod(0o400)
    component.folder.chmod(0o500)
    try:
        failure(component, "run", names=["rooms.db"])
    finally:
        component.folder.chmod(0o700)


def test_sighup_takes_changed_rules_over_and_a_broken_file_changes_nothing(prosody, node, people):
    component = node(prosody)
    alice, bob = people(prosody, "alice", "bob")
    alice.create("hall", "Alice")
    identity = component.identity

    component.settings["service"][0]["creation"] = "admins"
    component.write_config()
    component.process.signal(signal.SIGHUP)
    component.process.wait_until(lambda: "reloaded" in component.process.log.read_text(), "it says that it reloaded", 5)
    with pytest.raises(Refused) as refused:
        alice.create("cellar", "Alice")
    assert refused.value.condition == "not-allowed"
    bob.enter("hall", "Bob")

    component.settings["service"][0]["creation"] = "nobody"
    component.write_config()
    component.process.signal(signal.SIGHUP)
    component.process.wait_until(lambda: "not reloaded" in component.process.log.read_text(), "it says that it did not reload", 5)
    alice.say_heard("hall", "still here")
    assert component.identity == identity
