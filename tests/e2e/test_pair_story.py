"""A story of four users and four nodes, told step by step: two pairs, each with its domain and its database.

Andy, Bob, Catherine and Deborah sit in one room that node 1a hosts, and in a second one on the other pair. Node 1a
fails, its twin 1b takes over, 1a comes back and is given its work again; the other pair never notices.
"""

import pytest
from conftest import HOST, SECRET
from harness.client import Client
from harness.load import Chorus
from harness.pair import Pair
from harness.relay import Relay

ONE, TWO = "one.localhost", "two.localhost"
CAST = ("Andy", "Bob", "Catherine", "Deborah")


@pytest.fixture
def town(own_server, database):
    """One Prosody with two service domains, a relay, and two pairs with a PostgreSQL database each."""
    domains = {ONE: SECRET, TWO: SECRET}
    server = own_server("prosody", domains=domains, accounts={name.lower(): "secret" for name in CAST})
    beside = Relay(domains=domains, server_port=server.component).start()
    pairs = [
        Pair(server, database("postgresql"), services={domain: names[0]}, secrets=domains, relay=beside, names=names)
        for domain, names in ((ONE, ("1a", "1b")), (TWO, ("2a", "2b")))
    ]
    people = {}
    try:
        for each in pairs:
            each.start()
        people = {name: Client(name.lower(), "secret", host=HOST, port=server.c2s, service=ONE).connect() for name in CAST}
        yield *pairs, people
    finally:
        for client in people.values():
            client.abort()
        for each in pairs:
            each.end()
        beside.process.end()


def test_the_story_of_andy_bob_catherine_and_deborah(town):
    first, second, people = town
    andy = people["Andy"]

    # All nodes serve what is theirs, every backup stands by.
    for each, names in ((first, ("1a", "1b")), (second, ("2a", "2b"))):
        assert each.speaker() == names[0]
        assert [each.state(name) for name in names] == ["Normal", "Normal"]

    # Andy opens a temporary room on the first pair and a lasting one on the second; all four enter both.
    rooms = {"tea": f"tea@{ONE}", "library": f"library@{TWO}"}
    andy.create(rooms["tea"], "Andy", {"muc#roomconfig_persistentroom": "0"})
    andy.create(rooms["library"], "Andy", {"muc#roomconfig_persistentroom": "1"})
    for name in CAST[1:]:
        for room in rooms.values():
            people[name].enter(room, name)
    for client in people.values():
        for room in rooms.values():
            for name in CAST:
                client.sees(room, name)
    andy.set_subject(rooms["tea"], "Cake")
    for client in people.values():
        client.wait(lambda s: s.subject == "Cake", "the subject")

    # Everybody talks in both rooms, and goes on talking through all that follows.
    tea, library = (Chorus(room, people, pace_s=0.03, pings_s=0.2) for room in rooms.values())
    with tea, library:
        tea.until_reflected(40)

        # Failover 1: node 1a crashes. 1b takes over; an operator sees why.
        epoch = first.epoch()
        first.nodes["1a"].kill9()
        first.until_spoken_by("1b")
        first.until_state("1b", "Running in Backup Mode", reason="Peer Down")
        assert first.epoch() > epoch
        tea.until_reflected(40)

        # Node 1a is repaired and started. It does not take its work back by itself.
        first.nodes["1a"].launch()
        first.until_state("1a", "Failed Over")
        first.until_fit("1a")
        assert first.speaker() == "1b"

        # Fallback: the operator gives it back.
        first.moved("fallback", asked="1b")
        first.until_state("1a", "Normal", reason="On Admin Request")
        first.until_state("1b", "Normal")
        assert first.speaker() == "1a"
        tea.until_reflected(40)

        # Failover 2: the operator takes node 1a out of service for an upgrade, and puts it back.
        first.moved("failover", asked="1a")
        first.until_state("1a", "Idle", reason="On Admin Request")
        first.until_state("1b", "Running in Backup Mode", reason="On Admin Request")
        assert first.nodes["1a"].terminate()[0] == 0
        first.nodes["1a"].launch()
        first.until_state("1a", "Idle")
        first.until_fit("1a")
        first.moved("fallback", asked="1a")
        first.until_state("1a", "Normal")
        tea.until_reflected(40)

        # Failover 3: the backup of the other pair is lost and comes back. Nothing moves.
        second.nodes["2b"].kill9()
        library.until_reflected(40)
        second.nodes["2b"].launch()
        second.until_fit("2b")
        assert second.speaker() == "2a"
        library.until_reflected(20)
    for chorus in (tea, library):
        chorus.settle()

    # Nobody has lost, seen twice, or seen out of order a single message; nobody came or went in anybody's eyes.
    tea.account(first.archive("tea")).assert_whole(at_least=160)
    library.account(second.archive("library")).assert_whole(at_least=160)
    assert [event for event in second.history() if event["epoch"] != "1" and event["gap_ms"]] == [], "the other pair never moved"

    # The room is what it was: a newcomer's view, and its end with the last occupant.
    for name in CAST[1:]:
        people[name].leave(rooms["tea"], name)
    entry = people["Deborah"].enter(rooms["tea"], "Deborah")
    assert {s.nick for s in entry.others} == {"Andy"} and entry.subject.subject == "Cake"
    assert entry.own.item["affiliation"] == "none"
