"""The units under `conf/systemd`, started by a real systemd with all their sandboxing: two nodes and the relay.

Ready is said and believed, the watchdog is petted and bites, stop is a planned move, and what is killed comes back.
"""

import signal
import time
from pathlib import Path

import pytest
from harness import systemd
from harness.component import toml
from harness.database import Sqlite
from harness.load import Chorus
from harness.process import Died, directory
from harness.systemd import Systemd
from harness.waiting import until
from test_kill import full_room

UNITS = ["tandem-muc@.service", "tandem-muc-relay.service"]
WATCHDOG_S = 3
QUICK = f"[Service]\nWatchdogSec={WATCHDOG_S}\n"
A, B, RELAY = "tandem-muc@a", "tandem-muc@b", "tandem-muc-relay"
SECRET, TOKEN = '"${CREDENTIALS_DIRECTORY}/secret"', '"${CREDENTIALS_DIRECTORY}/token"'


@pytest.fixture
def manager():
    """Boots a systemd for these files and state directory: `manager({"a.toml": …}, …)`."""
    if why := systemd.obstacle():
        pytest.skip(why)
    made = []

    def boot(files: dict[str, str], state: Path) -> Systemd:
        etc = directory("etc")
        etc.chmod(0o755)
        for name, text in files.items():
            (etc / name).write_text(text)
            (etc / name).chmod(0o644 if name.endswith(".toml") else 0o600)
        made.append(Systemd(UNITS, etc, state, {unit: QUICK for unit in UNITS}))
        try:
            return made[-1].boot()
        except Died as why:
            pytest.skip(f"systemd: no container can be booted here: {why}")

    yield boot
    for each in made:
        each.end()


@pytest.fixture
def scene(own_server, pair, relay, manager):
    """The pair as the units run it, on the SQLite file both nodes share; and its systemd."""
    server = own_server("prosody")
    beside = relay(server)
    beside.process.end()  # its unit runs it
    file = Sqlite(directory("database"))
    two = pair(server, file, relay=beside, is_started=False)
    files = {"secret": two.nodes["a"].settings["service"][0]["secret"], "token": (two.folder / "token").read_text()}
    files["relay.toml"] = beside.config.read_text()
    for name, node in two.nodes.items():
        node.settings["store"]["url"] = "sqlite:/var/lib/tandem-muc/rooms.db"
        files[f"{name}.toml"] = toml(node.settings)
    secret = f'"{files["secret"]}"'
    for name in ("a.toml", "b.toml", "relay.toml"):
        text = files[name].replace(f"secret = {secret}", f"secret_file = {SECRET}")
        files[name] = text.replace(f'"{two.folder / "token"}"', TOKEN)
        assert SECRET in files[name] and secret not in files[name]
    return two, manager(files, file.path.parent)


def until_fit(two, name: str) -> None:
    def is_fit() -> bool:
        return two.nodes[name].http_get("/ready")[0] == 200 and two.duty(name)["is_fit"] == "1" and two.duty(name)["state"] != "Unknown"

    until(is_fit, lambda: f"{name} could serve: {two.duty(name)}, {two.nodes[name].http_get('/ready')}", patience=20)


def test_the_units_run_a_pair_and_its_relay_as_they_promise(scene, people):
    two, made = scene
    began = time.monotonic()
    made.control("start", RELAY, A, B)
    assert time.monotonic() - began < 30, "systemd believes that they are ready"
    for unit in (RELAY, A, B):
        assert made.property(unit, "ActiveState") == "active", made.journal(unit)
    assert "Normal: serving in epoch 1" in made.property(A, "StatusText") and "node a serves" in made.property(B, "StatusText")
    until_fit(two, "b")

    singers = full_room(two.server, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus:
        chorus.until_reflected(50)
        made.control("reload", A)
        chorus.until_reflected(20)

        made.control("stop", A)
        assert made.property(A, "Result") == "success" and made.property(A, "ExecMainStatus") == "0", made.journal(A)
        assert two.speaker() == "b" and two.history()[-1]["bounced"] in ("", "0")
        two.until_state("b", "Running in Backup Mode", reason="On Admin Request")
        chorus.until_reflected(50)
        made.control("start", A)
        until_fit(two, "a")
        assert two.speaker() == "b", "starting it takes nothing away"

        made.kill(B, signal.SIGKILL)
        two.until_spoken_by("a")
        until(lambda: made.property(B, "NRestarts") == "1" and made.property(B, "ActiveState") == "active", lambda: made.journal(B))
        until_fit(two, "b")
        chorus.until_reflected(50)

        made.kill(RELAY, signal.SIGKILL)
        until(lambda: made.property(RELAY, "NRestarts") == "1" and made.property(RELAY, "ActiveState") == "active", lambda: made.journal(RELAY))
        until(lambda: two.duty("a")["level"] == "2", lambda: f"back at the relay: {two.duty('a')}", patience=40)
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_sound(at_least=200, may_repeat=True)


def test_the_watchdog_of_the_unit_is_petted_and_ends_a_node_that_hangs(scene, people):
    two, made = scene
    made.control("start", RELAY, A, B)
    until_fit(two, "b")
    petted = made.property(A, "WatchdogTimestampMonotonic")
    singers = full_room(two.server, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus:
        time.sleep(WATCHDOG_S + 1)  # not an event: nothing happens, for it is petted
        assert made.property(A, "NRestarts") == "0" and made.property(A, "WatchdogTimestampMonotonic") != petted
        made.kill(A, signal.SIGSTOP)
        two.until_spoken_by("b")
        until(lambda: made.property(A, "NRestarts") == "1" and made.property(A, "ActiveState") == "active", lambda: made.journal(A), patience=30)
        assert "Watchdog timeout" in made.journal(A)
        until_fit(two, "a")
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_whole(at_least=100)
    assert two.speaker() == "b"
