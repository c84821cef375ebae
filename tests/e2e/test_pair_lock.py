"""Only the connection that has the session lock dies: its holder lives, keeps the domain, and has the lock again; the
lock still tells its death at once. And an order is heeded at once by the node that receives it."""

import time

import pytest
from harness.load import Chorus
from harness.waiting import until
from test_kill import full_room

LOCKS = """SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
           WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE 'tandem-muc _ conference.localhost'"""


@pytest.fixture
def prosody(own_server):
    return own_server("prosody")


def lock_of(two) -> tuple[str, str]:
    """Whose session has the lock: its number and its node."""
    rows = two.database.rows(LOCKS)
    return (rows[0][0], rows[0][1].split()[1]) if len(rows) == 1 else ("", "")


def test_a_holder_whose_lock_alone_dies_keeps_the_domain_and_has_the_lock_again(prosody, people, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody))
    singers = full_room(prosody, people)
    until(lambda: lock_of(two)[1] == "a", "the holder has the lock")
    epoch = two.epoch()
    chorus = Chorus("hall", singers, pace_s=0.01)
    with chorus:
        for _ in range(4):
            chorus.until_reflected(30)
            before, _ = lock_of(two)
            two.database.rows(f"SELECT pg_terminate_backend({before})")
            until(lambda before=before: lock_of(two)[1] == "a" and lock_of(two)[0] != before, lambda: f"the holder has it again: {lock_of(two)}", 10)
            chorus.until_reflected(30)
            assert (two.epoch(), two.speaker()) == (epoch, "a")
        # What the lock is for: a death is noticed at once.
        two.nodes["a"].kill9()
        began = time.monotonic()
        until(lambda: two.speaker() == "b", "its twin takes over")
        took = time.monotonic() - began
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_whole(at_least=200, may_repeat=True)
    assert took < 1.0, f"the twin needed {took:.3f} s: more than half a lease"
    print(f"taken over {took * 1000:.0f} ms after the kill")


def test_an_order_is_heeded_at_once_by_the_holder_that_receives_it(prosody, people, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody), extra={"pair": {"beat_ms": 2000, "patience_ms": 6000}, "store": {"lease_ms": 9000}})
    for kind, asked, to in (("failover", "a", "b"), ("fallback", "b", "a"), ("switch-over", "a", "b"), ("fallback", "b", "a")):
        began = time.monotonic()
        two.moved(kind, asked=asked)
        took = time.monotonic() - began
        assert took < 1.0, f"{kind} took {took:.3f} s with a beat of 2 s"
        two.until_state(to, "Normal" if to == "a" else "Running in Backup Mode")
