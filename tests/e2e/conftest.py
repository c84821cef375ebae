"""Fixtures of the end-to-end tests: servers for the whole run, a fresh node and fresh people for each test."""

import itertools
import signal
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import process  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.component import Component  # noqa: E402
from harness.database import Postgresql, Sqlite  # noqa: E402
from harness.ejabberd import Ejabberd  # noqa: E402
from harness.network import Network, obstacle  # noqa: E402
from harness.pair import Pair  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.prosody import Prosody  # noqa: E402
from harness.proxy import Proxy  # noqa: E402
from harness.relay import Relay  # noqa: E402

HOST, SERVICE, SECRET = "localhost", "conference.localhost", "e2e-secret"
ACCOUNTS = {name: f"{name}-password" for name in ("admin", "alice", "bob", "carol", "dave", "mallory")}
TEST_SECONDS = 150  # no single test may take longer; a hang becomes a failure with its stack
KINDS = {"prosody": Prosody, "ejabberd": Ejabberd}


def make_server(kind: str, **options):
    return KINDS[kind](**{"host": HOST, "domains": {SERVICE: SECRET}, "accounts": ACCOUNTS, **options})


@pytest.fixture(scope="session", params=list(KINDS))
def server(request):
    """Each real server in turn, running for all tests that take it."""
    running = make_server(request.param).start()
    yield running
    running.process.end()


@pytest.fixture
def own_server(request):
    """A server this test alone uses, so it may stop and kill it: `own_server(kind)`."""
    made = []

    def start(kind: str, **options):
        made.append(make_server(kind, **options).start())
        return made[-1]

    yield start
    for running in made:
        running.process.end()


@pytest.fixture(scope="session")
def postgres():
    """One PostgreSQL for the run; every test makes a database of its own in it."""
    running = Postgres().start()
    yield running
    running.process.end()


@pytest.fixture
def node():
    """Starts nodes: `node(server, url=…, extra=…)`; killed when the test is over."""
    made = []

    def start(server, *, is_started: bool = True, **options) -> Component:
        if is_started and not server.process.is_alive:  # one test that ended its server fails; the next ones have theirs
            server.start()
        component = Component(domain=SERVICE, secret=options.pop("secret", SECRET), server_port=server.component, **options)
        made.append(component)
        return component.start() if is_started else component

    yield start
    for component in made:
        component.process.end()


_databases = itertools.count(1)


@pytest.fixture
def database(request):
    """Makes databases for pairs: `database("sqlite")`, `database("postgresql")`."""

    def make(kind: str, **options) -> Sqlite | Postgresql:
        if kind == "sqlite":
            return Sqlite(process.directory("database"))
        return Postgresql(options.pop("postgres", None) or request.getfixturevalue("postgres"), f"pair_{next(_databases)}", **options)

    return make


@pytest.fixture
def relay():
    """Starts relays beside servers: `relay(server)`."""
    made = []

    def start(server, **options) -> Relay:
        made.append(Relay(domains=server.domains, server_port=options.pop("server_port", server.component), **options).start())
        return made[-1]

    yield start
    for running in made:
        running.process.end()


@pytest.fixture
def network():
    """Hosts `a` and `b` behind cables that can be pulled."""
    if why := obstacle():
        pytest.skip(why)
    made = Network("a", "b")
    yield made
    made.end()


@pytest.fixture
def proxy():
    """Stretches of bad network: `proxy(port)`."""
    made = []

    def start(to_port: int) -> Proxy:
        made.append(Proxy(to_port))
        return made[-1]

    yield start
    for each in made:
        each.end()


@pytest.fixture
def pair():
    """Starts pairs: `pair(server, database, relay=…, services={domain: home}, extra=…)`; moves are not limited unless asked for."""
    made = []

    def start(server, database, *, is_started: bool = True, services: dict | None = None, extra: dict | None = None, **options) -> Pair:
        if is_started and not server.process.is_alive:
            server.start()
        extra = {**(extra or {}), "pair": {"moves_max": 1000, **(extra or {}).get("pair", {})}}
        made.append(Pair(server, database, services=services or {SERVICE: "a"}, secrets=options.pop("secrets", server.domains), extra=extra, **options))
        return made[-1].start() if is_started else made[-1]

    yield start
    for running in made:
        running.end()


@pytest.fixture
def people():
    """Connects people: `alice, bob = people(server, "alice", "bob")`; they hang up when the test is over."""
    online = []

    def connect(server, *names: str, resource: str = "e2e") -> list[Client]:
        group = [
            Client(name, ACCOUNTS[name], host=HOST, port=server.c2s, service=SERVICE, resource=resource).connect() for name in names
        ]
        online.extend(group)
        return group

    yield connect
    for client in online:
        client.abort()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Bounds each test in time (`@pytest.mark.seconds(n)` where it is another) and remembers where its part of every log begins."""
    for running in process.started:
        running.log_seen = len(running.log_text())

    mark = item.get_closest_marker("seconds")
    seconds = mark.args[0] if mark else TEST_SECONDS

    def too_long(_number, frame):
        raise TimeoutError(f"the test took longer than {seconds} s, at {frame.f_code.co_filename}:{frame.f_lineno}")

    assert threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the processes it used had to say."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for running in process.started:
            text = running.log_text()[running.log_seen :].strip()
            if text:
                report.sections.append((f"log of {running.name}", "\n".join(text.splitlines()[-60:])))
