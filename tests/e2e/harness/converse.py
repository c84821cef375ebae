"""Converse.js as a person sees it: fetched once, pinned, served from loopback, driven in a real browser.

The page may fetch nothing but its own files and may talk to nobody but the XMPP server's WebSocket: its content
security policy says so, and the browser resolves no other name.
"""

import base64
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from functools import cache, partial
from pathlib import Path

from . import ports
from .browser import Browser
from .component import ROOT
from .optional import lacking
from .waiting import until

VERSION = "14.0.0"
INTEGRITY = "sha512-LFUg030jDalV47vI/vyVPqYPZfJYXFbubq8v0cFDe2zXNeeGEk3Up0Fj/WTzT6t+6do+cAIToy73eAj7RNDj2Q=="
BUILD = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "e2e"
HERE = Path(__file__).parent / "web"
PATIENCE = 20.0  # seconds for a page on a busy machine


@cache
def fetched() -> Path:
    """The folder with the package's `dist`, in the build folder; fetched with npm and held against its digest."""
    folder = BUILD / f"converse.js-{VERSION}"
    if folder.is_dir():
        return folder
    npm = shutil.which("npm")
    if not npm:
        lacking("Converse.js", "there is no npm to fetch it with")
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as into:
        try:
            done = subprocess.run([npm, "pack", f"converse.js@{VERSION}", "--silent", "--pack-destination", into], cwd=into, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            lacking("Converse.js", "npm did not bring it within 120 s")
        packed = next(Path(into).glob("*.tgz"), None)
        if done.returncode or not packed:
            lacking("Converse.js", f"npm could not bring it: {done.stderr.strip()[-300:]}")
        digest = "sha512-" + base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
        assert digest == INTEGRITY, f"converse.js {VERSION} is not the one these tests were written for: {digest}"
        with tarfile.open(packed) as archive:
            archive.extractall(into)  # the digest says whose paths these are
        (Path(into) / "package").rename(folder)
    return folder


class Page:
    """A web server for one page, Converse.js set up for one XMPP server. Its own port makes it a site of its own: nothing is left of earlier pages."""

    def __init__(self, websocket: str, service: str):
        settings = {"websocket_url": websocket, "muc_domain": service}
        self._own = {
            "/": ("text/html", (HERE / "converse.html").read_text()),
            "/settings.js": ("text/javascript", f"window.settings = {json.dumps(settings)};"),
            "/converse.mjs": ("text/javascript", (HERE / "converse.mjs").read_text()),
        }
        self._policy = f"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob: {websocket}"
        self._server = http.server.ThreadingHTTPServer((ports.HOST, ports.free()), partial(_Answer, self, directory=str(fetched())))
        self.url = f"http://{ports.HOST}:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, name="web page", daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def own(self, path: str) -> tuple[str, bytes] | None:
        found = self._own.get(path)
        return found and (found[0], found[1].encode())

    @property
    def policy(self) -> str:
        return self._policy


class _Answer(http.server.SimpleHTTPRequestHandler):
    def __init__(self, page: Page, *rest, **more):
        self._page = page
        super().__init__(*rest, **more)

    def do_GET(self):
        own = self._page.own(self.path)
        if own is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", f"{own[0]}; charset=utf-8")
        self.send_header("Content-Length", str(len(own[1])))
        self.end_headers()
        self.wfile.write(own[1])

    def end_headers(self):
        self.send_header("Content-Security-Policy", self._page.policy)
        super().end_headers()

    def log_message(self, *_):
        pass


class Converse:
    """One page in the browser, with what a person does there and what that person sees."""

    def __init__(self, browser: Browser, page: Page):
        self.browser, self._page = browser, page

    def log_in(self, jid: str, password: str) -> None:
        self.browser.open(self._page.url)
        self.browser.type("input[name=jid]", jid)
        self.browser.type("input[name=password]", password, enter=True)
        self.browser.wait(".show-add-muc-modal", "the list of rooms", is_shown=False)

    def enter(self, room: str, nick: str) -> None:
        """Through the dialog, as a person does."""
        self.browser.click("converse-rooms-list .dropdown-toggle, converse-controlbox button.dropdown-toggle")
        self.browser.click(".show-add-muc-modal")
        self.browser.type("input[name=chatroom]", room)
        self.browser.type("input[name=nickname]", nick, enter=True)
        self.browser.wait("textarea.chat-textarea", f"the room {room}")

    def type(self, text: str) -> None:
        """Into the field for messages; `/nick`, `/topic` and `/kick` are commands there."""
        self.browser.type("textarea.chat-textarea", text, enter=True)

    def choose(self, item: str) -> None:
        """From the menu of the room."""
        self.browser.click("converse-muc-heading .dropdown-toggle")
        self.browser.click(item)

    def act_on(self, text: str, action: str) -> None:
        """From the menu of the message that says this."""
        self.browser.run(
            "[...document.querySelectorAll('converse-chat-message')].find((e) => e.querySelector('.chat-msg__text')?.textContent.trim() === arguments[0])"
            ".querySelector('.chat-msg__actions .dropdown-toggle').click()", text,
        )  # fmt: skip
        self.browser.click(f".chat-msg__action-{action}")

    def dismiss(self) -> None:
        """Closes the dialog, and waits until it is gone from the page."""
        self.browser.click(".modal button", "Close")
        self.until_dismissed()

    def until_dismissed(self) -> None:
        until(lambda: not self.browser.run("return document.querySelector('.modal.show, .modal-backdrop')"), "the dialog is gone", PATIENCE)

    # what is seen

    def messages(self) -> list[str]:
        """The texts of all messages, in the order of the page."""
        return self.browser.run("return [...document.querySelectorAll('.chat-msg__text')].map(e => e.textContent.trim())")

    def sees(self, text: str, what: str = "") -> None:
        until(lambda: text in self.text(), lambda: f"the page shows {what or text!r}; it shows:\n{self.text()}", PATIENCE)

    def sees_message(self, text: str) -> None:
        until(lambda: text in self.messages(), lambda: f"a message {text!r}; there are {self.messages()[-10:]}", PATIENCE)

    def text(self) -> str:
        return self.browser.run("return document.body.innerText")

    def participants(self) -> list[str]:
        return self.browser.run("return [...document.querySelectorAll('.occupant-nick')].map(e => e.textContent.trim())")

    def told(self) -> list[str]:
        """Every notice the page has shown, even for a moment: comings, goings, errors, disconnections."""
        return self.browser.run("return told")

    # what was said on the wire

    def stanzas(self) -> list[tuple[str, str]]:
        """Everything sent (`>`) and received (`<`) since the login."""
        return [(way, xml) for way, xml in self.browser.run("return heard")]

    def asked(self, domain: str) -> dict[str, dict]:
        """Each IQ request sent to an address of this domain: what it asks, and what came back."""
        return self.browser.run("return asked(arguments[0])", domain)
