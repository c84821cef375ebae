"""One domain per node, each backing the other; the return home by itself; and a node alone, as before."""

import time

from conftest import ACCOUNTS, HOST, SECRET
from harness.client import Client
from harness.waiting import until

FIRST, SECOND = "conference.localhost", "rooms.localhost"


def person(server, account: str, service: str) -> Client:
    return Client(account, ACCOUNTS[account], host=HOST, port=server.c2s, service=service, resource=service.partition(".")[0]).connect()


def test_each_node_serves_a_domain_and_both_when_the_other_dies(own_server, pair, database, relay):
    server = own_server("ejabberd", domains={FIRST: SECRET, SECOND: SECRET})
    two = pair(server, database("postgresql"), relay=relay(server), services={FIRST: "a", SECOND: "b"})
    assert (two.speaker(FIRST), two.speaker(SECOND)) == ("a", "b")
    people = {(account, domain): person(server, account, domain) for account in ("alice", "bob") for domain in (FIRST, SECOND)}
    for domain in (FIRST, SECOND):
        people["alice", domain].create("hall", "Alice")
        people["bob", domain].enter("hall", "Bob")
    two.nodes["a"].kill9()
    two.until_spoken_by("b", FIRST)
    assert two.speaker(SECOND) == "b"
    for domain in (FIRST, SECOND):
        people["alice", domain].say_heard("hall", f"still served: {domain}")
        people["bob", domain].hears("hall", f"still served: {domain}", nick="Alice")
    assert two.state("b", FIRST) == "Running in Backup Mode" and two.state("b", SECOND) == "Normal"
    two.nodes["a"].launch()
    two.until_fit("a", domain=FIRST)
    two.until_fit("a", domain=SECOND)
    two.moved("fallback", domain=FIRST)
    assert (two.speaker(FIRST), two.speaker(SECOND)) == ("a", "b"), "one domain moved, not the other"
    two.nodes["b"].kill9()
    two.until_spoken_by("a", SECOND)
    for domain in (FIRST, SECOND):
        people["bob", domain].say_heard("hall", f"and again: {domain}")
    for client in people.values():
        gone = [s for s in client.since() if s.name == "presence" and s.type == "unavailable"]
        assert gone == [], gone
        client.abort()


def test_the_domain_returns_home_by_itself_when_the_home_node_was_fit_for_long_enough(own_server, people, pair, database, relay):
    server = own_server("prosody")
    two = pair(server, database("sqlite"), relay=relay(server), extra={"pair": {"fallback_after_min": 1}})
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice")
    bob.enter("hall", "Bob")
    two.nodes["a"].kill9()
    two.until_spoken_by("b")
    two.nodes["a"].launch()
    two.until_fit("a")
    began = time.monotonic()
    since = bob.now
    two.until_spoken_by("a", patience=75)
    assert time.monotonic() - began > 50, "not before its time"
    two.until_state("a", "Normal", reason="Automatic Fallback")
    alice.say_heard("hall", "home again")
    bob.hears("hall", "home again", nick="Alice")
    assert not [s for s in bob.since(since) if s.name == "presence"]


def test_a_backup_started_alone_serves_when_the_home_node_does_not_come(own_server, people, pair, database, relay):
    server = own_server("prosody")
    two = pair(server, database("sqlite"), relay=relay(server), is_started=False)
    two.nodes["b"].launch()
    two.nodes["b"].process.wait_until(lambda: two.nodes["b"].is_ready(), "it serves", patience=20)
    two.until_state("b", "Running in Backup Mode", reason="Peer Down During Initialization")
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice")
    two.nodes["a"].launch()
    two.until_state("a", "Failed Over")
    assert two.speaker() == "b", "who comes later does not take it away"
    alice.say_heard("hall", "undisturbed")


def test_a_node_without_a_twin_serves_and_a_killed_one_serves_again(server, node, people, tmp_path):
    (tmp_path / "token").write_text("a token")
    alone = node(server, extra={"http": {"token_file": str(tmp_path / "token")}})
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice")
    bob.enter("hall", "Bob")
    alone.kill9()
    alone.start()
    alice.say_until_heard("hall", "same room")
    bob.hears("hall", "same room", nick="Alice")
    refused = alone.command("switch-over")
    assert refused.returncode != 0 and "twin" in refused.stdout + refused.stderr
    shown = alone.command("status")
    assert shown.returncode == 0 and "Normal" in shown.stdout, shown.stdout + shown.stderr
    until(lambda: alone.rows("SELECT state_txt FROM muc_duty") == [("Normal",)], "it stands in the database as it is")
