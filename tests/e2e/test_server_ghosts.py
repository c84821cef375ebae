"""A server that crashed and came back has lost its clients: who is not there any more leaves before the first word is
said to anybody."""

import time

import pytest
from harness.client import Refused
from harness.waiting import until


@pytest.mark.parametrize("attached", ["bare", "relayed"])
def test_after_a_servers_crash_the_first_to_come_sees_no_ghosts(own_server, people, node, relay, attached):
    server = own_server("prosody")
    running = relay(server) if attached == "relayed" else None
    extra = {"service": {"relay": [f"127.0.0.1:{running.port}"]}} if running else None
    component = node(server, extra=extra)
    alice, bob, carol, dave = people(server, "alice", "bob", "carol", "dave")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    for client, nick in ((bob, "Bob"), (carol, "Carol"), (dave, "Dave")):
        client.enter("hall", nick)
    # Else what the server may not have had is said again first, as it was.
    until(lambda: component.rows("SELECT COUNT(*) FROM muc_echo") == [(0,)], "all that was said is known to be handed on")
    server.process.kill9()
    until(lambda: not component.is_ready(), "the node has noticed")
    server.start()
    (alice,) = people(server, "alice")  # the same session comes back, the others do not
    began = time.monotonic()
    while True:
        try:
            since = alice.now
            entry = alice.enter("hall", "Alice", patience=2)
            break
        except (Refused, AssertionError):
            assert time.monotonic() - began < 30, "the room does not come back"
            time.sleep(0.005)
    assert [s.nick for s in entry.others] == [], entry.others
    assert "Alice" in entry.own.frm and 110 in entry.own.codes
    alice.hears_nothing_more("hall", "Alice", since)
    late = [s for s in alice.since(entry.own.place) if s.name == "presence" and s.type == "unavailable"]
    assert not late, f"they left only after the first word: {late}"
    left = {s.nick for s in alice.since() if s.name == "presence" and s.type == "unavailable" and 333 in s.codes}
    assert left == {"Bob", "Carol", "Dave"}, left
    assert component.rows("SELECT COUNT(*) FROM muc_occupant") == [(1,)]
