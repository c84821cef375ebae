"""Wall clocks that are an hour off, or jump by hours while people talk: a node's, both nodes', the database's.

Nobody is put out, nobody speaks who should not, and in the archive neither times nor ids ever run backwards.
"""

import datetime
import time
import urllib.request

import pytest
from harness import clock
from harness.clock import Clock
from harness.load import Chorus
from harness.postgres import Postgres
from harness.waiting import until
from test_kill import full_room

HOUR_S = 3600
YEAR_S = 365 * 24 * HOUR_S
WORST_S = 1.5  # debug build on a busy machine

pytestmark = pytest.mark.skipif(clock.library() is None, reason="libfaketime is not installed: no clock can be made to jump")


@pytest.fixture
def prosody(own_server):
    return own_server("prosody")


@pytest.fixture(autouse=True)
def _swept():
    yield
    clock.sweep()


def time_of(node):
    """What the node says of the time, in the line of its log about an order it refuses."""

    def read() -> float:
        code, _ = node.ask_http(urllib.request.Request(f"http://127.0.0.1:{node.http}/api/pair/orders", b"{}", {"Content-Type": "application/json"}))
        assert code == 401
        stamp = [line for line in node.process.log_text().splitlines() if "http: refused" in line][-1].split()[0]
        return datetime.datetime.fromisoformat(stamp).timestamp()

    return read


def assert_archive_runs_forward(two) -> None:
    """Times and the times in the ids (UUIDs of version 7), in the order in which it was said."""
    rows = two.database.rows("SELECT sent_ms, archive_id FROM muc_message ORDER BY room_id, seq")
    times, ids = [int(sent_ms) for sent_ms, _ in rows], [archive_id.replace("-", "")[:12] for _, archive_id in rows]
    assert len(rows) > 50 and len(set(row[1] for row in rows)) == len(rows)
    assert times == sorted(times), "times run backwards"
    assert ids == sorted(ids), "ids run backwards"


def with_clocks(two, **clocks: Clock) -> None:
    for name, its in clocks.items():
        two.nodes[name].process.begins_with(its.words)


def test_two_nodes_whose_clocks_are_two_hours_apart_serve_in_turn(prosody, people, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody), is_started=False)
    with_clocks(two, a=Clock(+HOUR_S), b=Clock(-HOUR_S))
    two.start()
    assert abs(time_of(two.nodes["a"])() - time_of(two.nodes["b"])() - 2 * HOUR_S) < 60
    singers = full_room(prosody, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus:
        chorus.until_reflected(50)
        two.moved("switch-over")
        two.until_fit("a")
        chorus.until_reflected(50)
        for old, new in (("b", "a"), ("a", "b")):
            two.nodes[old].kill9()
            two.until_spoken_by(new)
            chorus.until_reflected(50)
            two.nodes[old].launch()
            two.until_fit(old)
        zombie = two.nodes["b"]
        zombie.freeze()
        two.until_spoken_by("a")
        zombie.thaw()
        two.until_state("b", "Normal")
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_whole(at_least=250)
    assert_archive_runs_forward(two)


def test_a_nodes_clock_that_jumps_moves_nothing_and_a_takeover_works_as_ever(prosody, people, pair, database, relay):
    two = pair(prosody, database("postgresql"), relay=relay(prosody), is_started=False)
    clocks = {name: Clock() for name in two.nodes}
    with_clocks(two, **clocks)
    two.start()
    singers = full_room(prosody, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus:
        chorus.until_reflected(50)
        for offset_s in (-HOUR_S, +HOUR_S, 0):
            for name in two.nodes:
                clocks[name].jump(offset_s, time_of(two.nodes[name]))
                chorus.until_reflected(30)
        assert (two.speaker(), two.epoch()) == ("a", 1), "nothing has moved"
        clocks["b"].jump(-HOUR_S, time_of(two.nodes["b"]))
        two.nodes["a"].kill9()
        two.until_spoken_by("b")
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_whole(at_least=250)
    assert account.worst_silence_s < WORST_S, str(account)
    assert_archive_runs_forward(two)


@pytest.fixture
def postgres_with_a_clock():
    """A PostgreSQL of this test's own, its clock, and how to read it."""
    its = Clock()
    running = Postgres()
    running.process.begins_with(its.words)
    running.start()
    yield running, its, lambda: float(running.rows("postgres", "SELECT extract(epoch FROM clock_timestamp())")[0][0])
    running.process.end()


@pytest.mark.parametrize("offset_s", [+HOUR_S, -HOUR_S])
def test_the_databases_clock_that_jumps_ends_no_lease_and_keeps_none_alive(prosody, people, pair, database, relay, postgres_with_a_clock, offset_s):
    """Forward, every lease seems over; back, that of a dead node seems good for an hour. Neither is what happens."""
    postgres, its, read_s = postgres_with_a_clock
    two = pair(prosody, database("postgresql", postgres=postgres), relay=relay(prosody))
    singers = full_room(prosody, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus:
        chorus.until_reflected(50)
        its.jump(offset_s, read_s)
        chorus.until_reflected(100)
        assert (two.speaker(), two.epoch()) == ("a", 1), f"nothing has moved: {two.history()}"
        # A host that is lost leaves its session lock behind: only time tells.
        zombie = two.holder()
        zombie.freeze()
        began = time.monotonic()
        two.until_spoken_by("b")
        chorus.until_reflected(50)
        assert time.monotonic() - began < 5, "lease, takeover and fifty messages"
        its.jump(0, read_s)
        chorus.until_reflected(100)
        assert two.speaker() == "b", "that clock back where it was moves nothing either"
        zombie.thaw()
        two.until_state("a", "Failed Over", patience=20)
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_whole(at_least=300)
    assert account.worst_silence_s < 4, str(account)
    assert_archive_runs_forward(two)


def test_a_monotonic_clock_that_jumps_forward_costs_a_pause_and_nothing_else(prosody, people, pair, database, relay):
    """No kernel does this; a virtual machine that was put aside for an hour comes close. The node finds its lease over
    by its own clock, falls silent, and either renews it or finds that its twin has it."""
    two = pair(prosody, database("postgresql"), relay=relay(prosody), is_started=False)
    its = Clock(is_monotonic_too=True)
    with_clocks(two, a=its)
    two.start()
    singers = full_room(prosody, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus:
        chorus.until_reflected(50)
        its.jump(+HOUR_S, time_of(two.nodes["a"]))
        chorus.until_reflected(100)
        until(lambda: two.holder().is_ready(), lambda: f"somebody serves: {two.duty('a')}, {two.duty('b')}")
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_whole(at_least=100, may_repeat=True)
    assert account.worst_silence_s < 5, str(account)
    assert_archive_runs_forward(two)


def test_a_node_whose_clock_is_a_year_ahead_removes_nothing_from_the_archives(prosody, people, pair, database, relay):
    """A machine without a battery for its clock, or with a bad one: what rooms keep for a day is a year old to it."""
    two = pair(prosody, database("postgresql"), relay=relay(prosody), is_started=False)
    with_clocks(two, b=Clock(+YEAR_S))
    two.start()
    alice, bob = people(prosody, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1", "muc#roomconfig_archive_days": "1"})
    bob.enter("hall", "Bob")
    for n in range(60):
        alice.say_heard("hall", f"line {n}")
    two.nodes["a"].kill9()
    two.until_spoken_by("b")
    until(lambda: "no old messages leave the archives" in two.nodes["b"].process.log_text(), "it says so at its first look", patience=20)
    bob.say_heard("hall", "still here")
    assert [body for _, body in two.archive()] == [*(f"line {n}" for n in range(60)), "still here"]
