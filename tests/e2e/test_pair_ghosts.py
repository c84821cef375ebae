"""Who vanished while no node ran is found after the takeover, and leaves; everybody else stays."""

import pytest


@pytest.mark.parametrize("attached", ["bare", "relayed"])
def test_a_ghost_leaves_with_333_after_a_takeover_and_nobody_else_does(server, people, pair, database, relay, attached):
    two = pair(server, database("sqlite"), relay=relay(server) if attached == "relayed" else None)
    alice, bob, carol = people(server, "alice", "bob", "carol")
    (phone,) = people(server, "bob", resource="phone")
    alice.create("hall", "Alice")
    for client, nick in ((bob, "Bob"), (phone, "Bob"), (carol, "Carol")):
        client.enter("hall", nick)
    # Both stop where they are: what the server says of sessions that end reaches nobody, or a node long dead.
    old, new = two.holder(), two.backup()
    new.freeze()
    old.kill9()
    if attached == "relayed":
        two.relay.kill9()
    carol.abort()
    phone.abort()
    _until_gone(alice, carol, phone)
    if attached == "relayed":
        two.relay.start()
    since = alice.now
    new.thaw()
    two.until_spoken_by(new.name)
    left = alice.sees("hall", "Carol", lambda s: s.type == "unavailable", since=since)
    assert 333 in left.codes and 307 not in left.codes
    alice.say_heard("hall", "who is still here?")
    bob.hears("hall", "who is still here?", nick="Alice")
    left = [s for s in alice.hears_nothing_more("hall", "Alice", since) if s.name == "presence" and s.type == "unavailable"]
    assert {s.nick for s in left} == {"Carol"}, left  # Bob's phone is gone too, but Bob is not
    bob.ping("hall@conference.localhost/Bob")


def _until_gone(asking, *gone) -> None:
    """Waits until the server itself knows that these sessions ended: a ping to one comes back as an error."""
    from harness.client import Refused

    for client in gone:
        for _ in range(100):
            try:
                asking.ping(client.full_jid, patience=1)
            except Refused:
                break
            except AssertionError:
                continue
