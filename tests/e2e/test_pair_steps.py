"""A node dies at each step of a takeover and of a planned move, as if by `kill -9`: whatever comes of the move, nothing
that was heard is missing, somebody serves, and nobody in the room notices.

The steps are fail points of the program, which builds with debug assertions have.
"""

import pytest
from harness.load import Chorus
from harness.waiting import until
from test_kill import full_room

TAKING = ("lease-had", "attached", "opened")
GIVING = ("frozen", "handed-over", "passed-on")


@pytest.fixture
def prosody(own_server):
    return own_server("prosody")


@pytest.fixture
def scene(prosody, people, pair, database, relay):
    """A pair on PostgreSQL with a full room, through the relay; `dying` is the node that dies, `point` where."""

    def make(dying: str, point: str, attached: str = "relayed"):
        two = pair(prosody, database("postgresql"), relay=relay(prosody) if attached == "relayed" else None)
        node = two.nodes[dying]
        if dying == "a":  # it serves: the domain goes aside while it is given its end
            two.moved("switch-over", asked="a")
            two.until_spoken_by("b")
        node.process.end()
        node.process.dies_at(point)
        node.launch()
        two.until_fit(dying)
        return two, full_room(prosody, people)

    return make


def again(node, two) -> None:
    """The node starts again, without an end set for it, and is fit."""
    node.process.dies_at(None)
    node.launch()
    node.process.wait_until(lambda: node.http_get("/health")[0] == 200, "it lives")


@pytest.mark.parametrize("point", TAKING)
def test_the_twin_dies_while_it_takes_over(scene, point):
    two, singers = scene("b", point)
    a, b = two.nodes["a"], two.nodes["b"]
    chorus = Chorus("hall", singers, pace_s=0.01)
    with chorus:
        chorus.until_reflected(50)
        a.kill9()
        until(lambda: not b.process.is_alive, f"b dies at {point}")
        again(a, two)
        two.until_spoken_by("a")
        again(b, two)
        two.until_fit("b")
        chorus.until_reflected(50)
    chorus.settle()
    chorus.account(two.archive()).assert_whole(at_least=100, may_repeat=True)


@pytest.mark.parametrize("attached", ["relayed", "bare"])
@pytest.mark.parametrize("point", TAKING)
def test_the_target_dies_while_it_is_handed_the_domain(scene, point, attached):
    two, singers = scene("b", point, attached)
    b = two.nodes["b"]
    chorus = Chorus("hall", singers, pace_s=0.01)
    with chorus:
        chorus.until_reflected(50)
        two.order("switch-over", asked="a")
        until(lambda: not b.process.is_alive, f"b dies at {point}")
        two.until_spoken_by("a")
        again(b, two)
        two.until_fit("b")
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(two.archive())
    (account.assert_whole if attached == "relayed" else account.assert_sound)(at_least=100, may_repeat=True)


@pytest.mark.parametrize("attached", ["relayed", "bare"])
@pytest.mark.parametrize("point", GIVING)
def test_the_holder_dies_while_it_hands_the_domain_over(scene, point, attached):
    if (point, attached) == ("passed-on", "relayed"):
        pytest.skip("through a relay nothing is passed on")
    two, singers = scene("a", point, attached)
    a = two.nodes["a"]
    two.moved("fallback", asked="b")
    two.until_spoken_by("a")
    chorus = Chorus("hall", singers, pace_s=0.01)
    with chorus:
        chorus.until_reflected(50)
        two._post(a, "/api/pair/orders", {"kind": "switch-over", "domain": two.domain})
        until(lambda: not a.process.is_alive, f"a dies at {point}")
        two.until_spoken_by("b")
        again(a, two)
        two.until_fit("a")
        chorus.until_reflected(50)
    chorus.settle()
    account = chorus.account(two.archive())
    (account.assert_whole if attached == "relayed" else account.assert_sound)(at_least=100, may_repeat=True)
