"""What else fails around a pair: the server, the relay, the database and the ways to them."""

import signal
import time

import pytest
from harness import ports
from harness.load import Chorus
from harness.postgres import Postgres
from harness.waiting import until
from test_kill import full_room


@pytest.fixture
def own_postgres():
    running = Postgres().start()
    yield running
    running.process.end()


@pytest.mark.parametrize("kind", ["prosody", "ejabberd"])
@pytest.mark.parametrize("how", ["stop", "kill9"])
def test_a_server_restarted_is_served_again_and_its_ghosts_are_gone(own_server, people, pair, database, relay, kind, how):
    server = own_server(kind)
    two = pair(server, database("postgresql"), relay=relay(server))
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    said = alice.say_heard("hall", "before")
    getattr(server, how)()
    server.start()
    (alice,) = people(server, "alice", resource="again")
    until(lambda: _is_served(alice), "the service answers", patience=30)
    entry = alice.enter("hall", "Alice", patience=30)
    assert [s.stanza_ids for s in entry.history if s.body == "before"] == [said.stanza_ids]
    alice.until(lambda: _is_alone(alice, "hall"), "Bob's session, which ended with the server, leaves the room")
    assert {node.process.is_alive for node in two.nodes.values()} == {True}


def _is_served(client) -> bool:
    try:
        client.ping(client.service, patience=2)
        return True
    except AssertionError:
        return False
    except Exception:  # refused: the server has no component yet
        return False


def _is_alone(client, room: str) -> bool:
    present = {}
    for s in client.heard:
        if s.is_presence_of(client.room(room)) and s.type in (None, "unavailable"):
            present[s.nick] = s.type is None
    return [nick for nick, is_in in present.items() if is_in] == ["Alice"]


def test_without_its_relay_the_pair_goes_on_directly_and_comes_back_to_it(server, people, pair, database, relay):
    beside = relay(server)
    two = pair(server, database("postgresql"), relay=beside)
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.02)
    with chorus:
        chorus.until_reflected(50)
        assert two.duty("a")["level"] == "2"
        beside.kill9()
        chorus.until_reflected(50)
        until(lambda: ports.connections(two.holder().process.pid, server.component), "the holder is attached to the server")
        until(lambda: two.duty("a")["level"] in ("0", "1"), "and says so")
        beside.start()
        until(lambda: two.duty("a")["level"] == "2", "the holder is back at the relay", patience=40)
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_sound(at_least=150, may_repeat=True)


def test_a_relay_that_stands_still_for_a_while_costs_nothing_but_the_while(server, people, pair, database, relay):
    beside = relay(server)
    two = pair(server, database("postgresql"), relay=beside)
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.02)
    with chorus:
        chorus.until_reflected(50)
        beside.process.signal(signal.SIGSTOP)
        time.sleep(1.5)  # not an event: nothing happens, and that is the point
        beside.process.signal(signal.SIGCONT)
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_whole(at_least=100)
    assert (two.speaker(), two.epoch()) == ("a", 1), "nothing has moved"


def test_the_holder_whose_database_sessions_are_ended_is_overtaken_or_goes_on(server, people, pair, database, relay):
    two = pair(server, database("postgresql"), relay=relay(server))
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.01, pings_s=0.1)
    with chorus:
        for _ in range(3):
            chorus.until_reflected(50)
            ended = two.database.end_sessions(f"tandem-muc {two.speaker()} %")
            assert ended >= 1, two.database.rows("SELECT application_name FROM pg_stat_activity")
            chorus.until_reflected(100)
            two.until_fit()
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_whole(at_least=400)
    assert account.worst_silence_s < 3, str(account)
    assert {node.process.is_alive for node in two.nodes.values()} == {True}


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_database_restarted_under_load_is_waited_for(server, people, pair, database, relay, own_postgres, how):
    two = pair(server, database("postgresql", postgres=own_postgres), relay=relay(server))
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.02)
    with chorus:
        chorus.until_reflected(50)
        own_postgres.stop(how)
        own_postgres.start()
        chorus.until_reflected(100)
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_whole(at_least=150)
    two.until_fit()
    assert {node.process.is_alive for node in two.nodes.values()} == {True}


def test_a_holder_cut_off_from_the_database_is_overtaken_and_falls_silent_by_itself(server, people, pair, database, relay, postgres, proxy):
    """A partition: the holder reaches the server, its twin reaches the database. Never two speakers, and soon one."""
    between = proxy(postgres.port)
    two = pair(server, database("postgresql"), relay=relay(server), is_started=False)
    cut_off = two.nodes["a"]
    cut_off.settings["store"]["url"] = two.database.url.replace(f":{postgres.port}/", f":{between.port}/")
    two.start()
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.02, pings_s=0.2)
    with chorus:
        chorus.until_reflected(50)
        between.stall()
        two.until_spoken_by("b")
        chorus.until_reflected(50)
        between.flow()
        two.until_state("a", "Failed Over", patience=30)
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_whole(at_least=150)
    assert account.worst_silence_s < 3, str(account)


def test_a_holder_cut_off_from_server_and_relay_hands_over(server, people, pair, database, relay, proxy):
    beside = relay(server)
    to_relay, to_server = proxy(beside.port), proxy(server.component)
    two = pair(server, database("postgresql"), relay=beside, is_started=False)
    cut_off = two.nodes["a"].settings["service"][0]
    cut_off["relay"], cut_off["server"] = [f"{ports.HOST}:{to_relay.port}"], [f"{ports.HOST}:{to_server.port}"]
    two.start()
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.02)
    with chorus:
        chorus.until_reflected(50)
        to_relay.refuse()
        to_server.refuse()
        two.until_spoken_by("b")
        chorus.until_reflected(50)
        two.until_state("a", "Failed Over with Critical Services Not Running")
        assert two.duty("a")["reason"] in ("Critical Service Down", "XMPP Server Unreachable"), two.duty("a")
        to_relay.accept()
        to_server.accept()
        two.until_state("a", "Failed Over", patience=30)
    chorus.settle()
    chorus.account(two.archive()).assert_whole(at_least=100)


@pytest.mark.parametrize("what", ["delay", "reset", "cut"])
def test_a_bad_network_between_the_holder_and_its_relay_loses_nothing(server, people, pair, database, relay, proxy, what):
    beside = relay(server)
    between = proxy(beside.port)
    two = pair(server, database("postgresql"), relay=beside, is_started=False)
    two.nodes["a"].settings["service"][0]["relay"] = [f"{ports.HOST}:{between.port}"]
    two.start()
    singers = full_room(server, people)
    chorus = Chorus("hall", singers, pace_s=0.02)
    with chorus:
        for _ in range(3):
            chorus.until_reflected(30)
            if what == "delay":
                between.delay(0.15)
                chorus.until_reflected(30)
                between.delay(0)
            else:
                getattr(between, what)()
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_whole(at_least=140, may_repeat=True)


def test_what_only_a_relay_had_is_said_again_when_the_relay_dies_after_the_holder(own_server, people, pair, database, relay):
    """The server stands still, so the holder's last words lie in the relay when first the holder dies, then the relay."""
    prosody = own_server("prosody")
    beside = relay(prosody)
    two = pair(prosody, database("postgresql"), relay=beside)
    alice, bob = people(prosody, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    bob.enter("hall", "Bob")
    alice.say_heard("hall", "first")
    holder = two.nodes["a"]
    holder.freeze()
    for n in range(600):
        alice.say("hall", f"line {n} " + "x" * 20000)
    time.sleep(0.8)
    prosody.process.signal(signal.SIGSTOP)
    holder.thaw()
    _until_it_keeps_no_more(two)
    holder.kill9()
    two.until_spoken_by("b")
    beside.kill9()
    prosody.process.signal(signal.SIGCONT)
    beside.start()
    until(lambda: two.duty("b")["level"] == "2", "the relay is back", patience=40)
    alice.say_heard("hall", "the end", 30)
    bob.hears("hall", "the end", nick="Alice")
    kept = [body.split()[1] for _, body in two.archive() if body.startswith("line")]
    heard = {s.body.split()[1] for s in bob.heard if s.name == "message" and (s.body or "").startswith("line")}
    unheard = [line for line in kept if line not in heard]
    assert len(kept) > 50, "too few were under way to tell anything"
    assert not unheard, f"kept {len(kept)}, unheard {len(unheard)}: {unheard[:3]} … {unheard[-3:]}"


def _until_it_keeps_no_more(two) -> None:
    last, ends = -1, time.monotonic() + 3
    while (kept := len(two.archive())) != last and time.monotonic() < ends:
        last = kept
        time.sleep(0.15)
