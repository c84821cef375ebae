"""The XMPP server goes and comes back: the node attaches again by itself."""

import signal

import pytest


@pytest.mark.parametrize("kind", ["prosody", "ejabberd"])
@pytest.mark.parametrize("how", ["stop", "kill9"])
def test_a_server_restarted_is_attached_to_again(own_server, node, people, kind, how):
    server = own_server(kind)
    component = node(server)
    alice, bob = people(server, "alice", "bob")
    alice.create("hall", "Alice", {"muc#roomconfig_persistentroom": "1"})
    said = alice.say_heard("hall", "before")
    pid, streams = component.identity
    getattr(server, how)()
    component.process.wait_until(lambda: not component.is_ready(), "it notices that the server is gone", patience=10)
    server.start()
    component.process.wait_until(component.is_ready, "it is attached again", patience=30)
    assert component.identity[0] == pid, "the same process"
    assert component.identity[1] != streams, "over a new stream"
    alice, bob = people(server, "alice", "bob")
    bob.enter("hall", "Bob")
    entry = alice.enter("hall", "Alice")
    assert [s.stanza_ids for s in entry.history if s.body == "before"] == [said.stanza_ids]
    bob.say_heard("hall", "after")
    alice.hears("hall", "after", nick="Bob")


def test_a_node_started_before_its_server_waits_for_it(own_server, node, people):
    server = own_server("prosody")
    server.stop()
    component = node(server, is_started=False)
    component.launch()
    component.process.wait_until(lambda: component.http_get("/health")[0] == 200, "it is up")
    assert not component.is_ready()
    server.start()
    component.process.wait_until(component.is_ready, "it is attached", patience=30)
    (alice,) = people(server, "alice")
    alice.create("hall", "Alice")


def test_a_silent_server_is_noticed_and_the_stream_opened_anew(own_server, node):
    server = own_server("prosody")
    component = node(server)
    streams = component.identity[1]
    server.process.signal(signal.SIGSTOP)
    try:
        component.process.wait_until(lambda: not component.is_ready(), "it notices the silence", patience=100)
    finally:
        server.process.signal(signal.SIGCONT)
    component.process.wait_until(component.is_ready, "it is attached again", patience=40)
    assert component.identity[1] != streams
