"""`check` and the order commands beside a pair that runs: true verdicts, and nobody is disturbed by asking."""

import json
import subprocess

import pytest
from harness.component import binary
from harness.waiting import until

SERVICE = "conference.localhost"
FILES = {"prosody": "prosody.cfg.lua", "ejabberd": "ejabberd.yml"}


def verdicts(two, asked: str, *words: str) -> list[tuple[str, str, str]]:
    """Verdict, what it is on and sentence, each."""
    done = two.nodes[asked].command("check", "--json", *words)
    assert "e2e-secret" not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["is_good"] == (done.returncode == 0)
    return [(each["verdict"], each["what"], each["sentence"]) for each in found["findings"]]


def failures(found: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(what, sentence) for verdict, what, sentence in found if verdict == "fail"]


@pytest.mark.parametrize("kind", list(FILES))
@pytest.mark.parametrize("is_relayed", [False, True])
def test_checking_a_pair_that_serves_disturbs_nobody_and_finds_it_well(own_server, people, pair, database, relay, kind, is_relayed):
    server = own_server(kind)
    two = pair(server, database("sqlite"), relay=relay(server) if is_relayed else None)
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice")
    bob.enter("hall", "Bob")
    before = [node.identity for node in two.nodes.values()], two.epoch()
    for asked in ("a", "b"):
        found = verdicts(two, asked, "--server-config", str(server._dir / FILES[kind]))
        assert not failures(found), failures(found)
        said = {(verdict, what) for verdict, what, _ in found}
        assert {("ok", "twin"), ("ok", "domain"), ("ok", "name"), ("ok", kind), ("skip", "stream")} <= said, found
        assert (("ok", "relay") in said) == is_relayed
        alice.say_heard("hall", f"still here, {asked}")
        assert bob.hears("hall", f"still here, {asked}", nick="Alice")
    assert before == ([node.identity for node in two.nodes.values()], two.epoch()), "no stream was replaced, no lease taken"


@pytest.mark.parametrize(
    "change, what",
    [({"secret": "another"}, "secret"), ({"home": "b"}, "home"), ({"domain": "elsewhere.localhost"}, "domain")],
)
def test_what_the_two_files_disagree_on_is_found(own_server, pair, database, change, what):
    two = pair(own_server("prosody"), database("sqlite"))
    two.nodes["b"].settings["service"][0].update(change)
    found = failures(verdicts(two, "b"))
    assert what in {failed for failed, _ in found}, found


def test_a_third_node_that_claims_the_domain_is_found(own_server, node, pair, database):
    server = own_server("prosody")
    two = pair(server, database("sqlite"))
    third = node(server, is_started=False, url=two.database.url, name="c", extra={"service": {"home": "c"}})
    third.launch()
    until(lambda: any("node c" in sentence for _, sentence in failures(verdicts(two, "a"))), "check names the stranger")


def test_watching_tells_each_change_once_and_ends_with_its_reader(own_server, pair, database, relay):
    server = own_server("prosody")
    two = pair(server, database("sqlite"), relay=relay(server))
    watching = subprocess.Popen([binary(), "status", "--watch", "--config", two.nodes["b"].config], stdout=subprocess.PIPE, text=True)
    try:
        first = watching.stdout.readline()
        assert f"{SERVICE}: served by a" in first, first
        two.moved("switch-over")
        seen = []
        until(lambda: seen.append(watching.stdout.readline()) or "served by b" in seen[-1], lambda: f"the move is told: {seen}")
        assert len(seen) == len(set(seen))
        watching.stdout.close()
        two.moved("fallback")
        until(lambda: watching.poll() is not None, "it ends once nobody reads")
    finally:
        watching.kill()
        watching.wait()


def test_without_a_running_node_an_order_says_what_to_do(own_server, pair, database):
    two = pair(own_server("prosody"), database("sqlite"))
    two.nodes["a"].kill9()
    done = two.nodes["a"].command("fallback")
    assert done.returncode == 1 and "start node a" in done.stderr and "node b" in done.stderr, done.stderr
