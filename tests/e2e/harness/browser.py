"""A real browser: the distribution's Chromium without a window, driven through its own driver by Selenium.

Browser and driver are children of the tests as everything else is, so they end with them on every way out.
"""

import os
import shutil
from pathlib import Path

from . import ports
from .optional import lacking, module
from .process import Process, directory
from .waiting import until

PATIENCE = 20.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server", "--window-size=1280,900", "--lang=en", "--log-level=3",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


class Browser:
    """One Chromium with an empty profile and one page."""

    def __init__(self):
        self._webdriver = module("selenium.webdriver", "python3-selenium")
        programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
        missing = [name for name, path in programs.items() if not path]
        if missing:
            lacking(" and ".join(missing), "the distribution's package is not installed")
        self._profile = directory("chromium")
        self._debugging, self._driving = ports.free(), ports.free()
        own = {"HOME": str(self._profile), "XDG_CONFIG_HOME": str(self._profile), "XDG_CACHE_HOME": str(self._profile)}
        argv = [programs["chromium"], *FLAGS, f"--user-data-dir={self._profile}/profile", f"--remote-debugging-port={self._debugging}", "about:blank"]
        self.process = Process("chromium", argv, log=self._profile / "chromium.log", env=own)
        self._driver_process = Process("chromedriver", [programs["chromedriver"], f"--port={self._driving}"], log=self._profile / "driver.log", env=own)

    def start(self) -> "Browser":
        self.process.start()
        self._driver_process.start()
        self.process.wait_until(lambda: ports.is_listening(self._debugging), "it can be driven", patience=60)
        self._driver_process.wait_until(lambda: ports.is_listening(self._driving), "it listens")
        os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), ports.HOST)))  # the driver is reached over HTTP
        options = self._webdriver.ChromeOptions()
        options.debugger_address = f"{ports.HOST}:{self._debugging}"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self._driver = self._webdriver.Remote(f"http://{ports.HOST}:{self._driving}", options=options)
        self._driver.set_script_timeout(PATIENCE)
        return self

    def end(self) -> None:
        self._driver_process.end()
        self.process.end()

    # what a person does

    def open(self, url: str) -> None:
        self.console()
        self._driver.get(url)

    def click(self, selector: str, text: str | None = None) -> None:
        """The first shown element of that kind, with that text if one is given; again if the page changed under the pointer."""

        def is_done() -> bool:
            try:
                found = next((each for each in self._all(selector) if each.is_displayed() and text in (None, each.text)), None)
                if found is None:
                    return False
                found.click()
            except Exception as error:  # Selenium's: gone, covered, or moving
                if type(error).__name__ in ("StaleElementReferenceException", "ElementClickInterceptedException", "ElementNotInteractableException"):
                    return False
                raise
            return True

        until(is_done, lambda: f"{selector} {text or ''} can be clicked; the page shows:\n{self.run('return document.body.innerText')}", PATIENCE, 0.05)

    def type(self, selector: str, text: str, *, enter: bool = False, clear: bool = False) -> None:
        field = self.wait(selector, f"{selector} to type into")
        if clear:
            field.clear()
        field.send_keys(text + ("\ue007" if enter else ""))

    # what a person sees

    def wait(self, selector: str, what: str, *, is_shown: bool = True):
        """The first such element that is shown; waits for it."""
        found = []

        def is_so() -> bool:
            try:
                found[:] = [each for each in self._all(selector) if not is_shown or each.is_displayed()]
            except Exception as error:
                if type(error).__name__ != "StaleElementReferenceException":
                    raise
                found.clear()
            return bool(found)

        until(is_so, lambda: f"{what}; the page shows:\n{self.run('return document.body.innerText')}\nand says {self.console()}", PATIENCE, 0.05)
        return found[0]

    def _all(self, selector: str):
        return self._driver.find_elements("css selector", selector)

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._driver.save_screenshot(str(path))

    # what a page does

    def run(self, script: str, *arguments):
        return self._driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments):
        """A script that calls its last argument when it is done."""
        return self._driver.execute_async_script(script, *arguments)

    def console(self) -> list[tuple[str, str]]:
        """Level and text of what the console said since it was last asked."""
        return [(entry["level"], entry["message"]) for entry in self._driver.get_log("browser")]
