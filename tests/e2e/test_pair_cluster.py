"""A cluster of two ejabberd nodes with a relay beside each: the node of the pair that speaks is attached to both.

What people of one server say comes in over the relay beside it, and all hear all. Where a node dies or moves nothing is
refused or missing; where a relay dies, what lay in it is gone, and nothing else.
"""

import signal
import time

import pytest
from conftest import ACCOUNTS, HOST, SECRET, SERVICE
from harness.cluster import Cluster
from harness.load import Chorus
from harness.waiting import until
from test_kill import everyone_talks

WORST_S = 2.5  # debug build on a busy machine


@pytest.fixture(scope="module")
def cluster():
    running = Cluster(host=HOST, domains={SERVICE: SECRET}, accounts=ACCOUNTS).start()
    yield running
    running.end()


@pytest.fixture
def hall(cluster, people, pair, database):
    """A pair attached to both relays, and a room with two people of each server."""
    two = pair(cluster.nodes[0], database("postgresql"), relay=cluster.relays)
    alice, bob = people(cluster.nodes[0], "alice", "bob")
    carol, dave = people(cluster.nodes[1], "carol", "dave")
    singers = {"Alice": alice, "Bob": bob, "Carol": carol, "Dave": dave}
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    for nick in ("Bob", "Carol", "Dave"):
        singers[nick].enter("hall", nick)
    for client in singers.values():
        for nick in singers:
            client.sees("hall", nick)
    until_attached(cluster, two)
    return two, singers


def until_attached(cluster, two, count: int = 2) -> None:
    """Waits until the speaker is attached to so many relays."""

    def holders() -> list:
        return [status["domains"][0]["holder"] for status in (relay.status() for relay in cluster.relays) if status]

    until(lambda: holders().count(two.speaker()) == count, lambda: f"{two.speaker()} holds {count} relays: {holders()}", 15)


def test_nodes_die_and_move_and_nothing_is_missing_on_either_server(cluster, hall):
    two, singers = hall
    before = [relay.status()["domains"][0] for relay in cluster.relays]
    chorus = Chorus("hall", singers, pace_s=0.01, pings_s=0.1)
    with chorus:
        for _ in range(3):
            chorus.until_reflected(100)
            old = two.holder()
            old.kill9()
            two.until_spoken_by(two.other(old).name)
            old.launch()
            two.until_fit(old.name)
            until_attached(cluster, two)
        for kind in ("fallback", "switch-over"):
            chorus.until_reflected(100)
            if kind == "switch-over" or two.speaker() != "a":
                two.moved(kind)
                until_attached(cluster, two)
        chorus.until_reflected(100)
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_whole(at_least=500)
    assert account.worst_silence_s < WORST_S, str(account)
    after = [relay.status()["domains"][0] for relay in cluster.relays]
    for nth, (earlier, later) in enumerate(zip(before, after, strict=True)):
        inbound = later["inbound"] - earlier["inbound"]
        assert inbound > chorus.said.total() / 3, f"people of server {nth + 1} come in over the relay beside it, not {inbound} of {chorus.said.total()}"
        assert later["bounced"] == earlier["bounced"]


def test_a_relay_dies_and_the_other_server_s_people_notice_nothing(cluster, hall):
    two, singers = hall
    chorus = Chorus("hall", singers, pace_s=0.01)
    for nth in (1, 0):  # heard only; spoken through
        with chorus:
            chorus.until_reflected(100)
            cluster.relays[nth].kill9()
            chorus.until_reflected(400)
            cluster.relays[nth].start()
            until_attached(cluster, two)
            chorus.until_reflected(200)
    chorus.settle()
    account = chorus.account(two.archive())
    account.assert_sound(at_least=1400)
    assert account.unanswered <= 20, f"more than lay in the relays: {account}"
    assert account.worst_silence_s < WORST_S, str(account)
    told = [event["why"] for event in two.history()]
    for nth, relay in enumerate(cluster.relays):
        assert any(f":{relay.port} is lost: " in why for why in told), (nth, told)
    attachments = two.status()["domains"][0]["attachments"]
    assert [line.split(":")[0] for line in attachments] == ["L2 relay 127.0.0.1"] * 2, attachments


def test_a_relay_that_hangs_is_left_and_words_go_on(cluster, hall):
    two, singers = hall
    carol, alice = singers["Carol"], singers["Alice"]
    began = time.monotonic()
    cluster.relays[0].process.signal(signal.SIGSTOP)
    try:
        # What people of its server say lies in it; but they hear.
        carol.say("hall", "is anybody there")
        alice.wait(lambda s: s.body == "is anybody there", "words past the relay that hangs", patience=15)
        waited = time.monotonic() - began
        alice.say("hall", "I was stuck")
    finally:
        cluster.relays[0].process.signal(signal.SIGCONT)
    carol.wait(lambda s: s.body == "I was stuck", "what lay in it", patience=15)
    until_attached(cluster, two)
    print(f"words went on after {waited:.1f} s")
    assert waited < 10
    everyone_talks(singers)
    heard = [s for s in alice.since() if s.body == "is anybody there"]
    assert len(heard) == 1, "what lay unread in the relay is not said after it was said elsewhere"


def test_a_server_dies_with_its_relay_and_the_other_s_people_go_on(cluster, hall):
    two, singers = hall
    staying = {nick: singers[nick] for nick in ("Carol", "Dave")}
    chorus = Chorus("hall", staying, pace_s=0.01)
    with chorus:
        chorus.until_reflected(100)
        cluster.relays[0].kill9()
        cluster.nodes[0].process.kill9()
        chorus.until_reflected(300)
    chorus.settle()
    account = chorus.account(two.archive())
    for client in staying.values():
        for nick in ("Alice", "Bob"):
            client.wait(lambda s, nick=nick: s.is_presence_of("hall@conference.localhost", nick) and s.type == "unavailable", f"{nick} is gone", since=0)
    account.presences = {}
    account.assert_sound(at_least=300)
    assert not account.unanswered, str(account)
    assert account.worst_silence_s < WORST_S, str(account)
    cluster.nodes[0].start()
    cluster.relays[0].start()
    until_attached(cluster, two)
    everyone_talks(staying)
