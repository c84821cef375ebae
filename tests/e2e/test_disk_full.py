"""The disk under SQLite fills up: new words are refused with `wait`, nothing heard is missing, room on it again is enough."""

import subprocess

import pytest
from harness.process import directory
from test_database_away import _say_until_refused


@pytest.fixture
def small_disk():
    """A folder on a file system of its own that can be made larger."""
    folder = directory("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small file system to fill: mounting one was refused ({mounted.stderr.strip()})")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_refuses_new_words_and_recovers(server, node, people, small_disk):
    component = node(server, url=f"sqlite:{small_disk}/rooms.db", extra={"store": {"held_seconds": 4}})
    component.database = small_disk / "rooms.db"
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    (small_disk / "ballast").write_bytes(b"")
    with (small_disk / "ballast").open("wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(4096)):
                pass
        except OSError:
            pass
    refused = _say_until_refused(alice)
    assert (refused.error_type, refused.condition) == ("wait", "resource-constraint")
    assert component.process.is_alive
    assert "disk" in component.process.log.read_text().lower()
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    alice.say_until_heard("hall", "room again")
    bob.hears("hall", "room again", nick="Alice")
    component.process.wait_until(component.is_ready, "it is ready again", patience=10)
    heard = {(s.stanza_ids[0], s.body) for s in bob.since() if s.name == "message" and s.type == "groupchat" and s.body}
    kept = set(component.rows("SELECT archive_id, body_txt FROM muc_message WHERE body_txt IS NOT NULL"))
    assert heard <= kept
