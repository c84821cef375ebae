"""A systemd of the tests' own: booted in a container over this machine's programs, with an /etc and a /var of its own.

It shares the network with the tests, starts nothing by itself, and knows the units under `conf/systemd` and the program
as /usr/bin/tandem-muc. When it ends, everything in it ends.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from . import component
from .process import Died, Process, directory

BOOT_S = 30
_MANAGER = "/lib/systemd/systemd"


def obstacle() -> str | None:
    """Why no systemd can be booted here, as far as that is seen without trying."""
    if os.geteuid() != 0:
        return "systemd: only root can boot one"
    if not shutil.which("systemd-nspawn") or not Path(_MANAGER).exists():
        return "systemd: systemd-nspawn or systemd is not installed"
    return None


class Systemd:
    """Boots with these units; `etc` becomes /etc/tandem-muc, `state` their state directory, `drop_ins` are unit to lines."""

    def __init__(self, units: list[str], etc: Path, state: Path, drop_ins: dict[str, str]):
        folder, self._name = directory("systemd"), f"tandem-muc-{os.getpid()}"
        programs, preset = folder / "usr" / "bin", folder / "nothing.preset"
        programs.mkdir(parents=True)
        shutil.copy(component.binary(), programs / "tandem-muc")
        preset.write_text("disable *\n")
        binds = {preset: "/etc/systemd/system-preset/00-nothing.preset"}
        for unit in units:
            binds[component.ROOT / "conf" / "systemd" / unit] = f"/etc/systemd/system/{unit}"
            if unit in drop_ins:
                quicker = folder / f"{unit}.conf"
                quicker.write_text(drop_ins[unit])
                binds[quicker] = f"/etc/systemd/system/{unit}.d/quicker.conf"
        # What systemd-nspawn starts outlives it; in a process namespace of its own, of which it is the first, it does not.
        words = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child=KILL", "--"]
        words += ["systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes", "--boot", "--register=no", "--keep-unit"]
        words += [f"--machine={self._name}", "--console=pipe", f"--overlay-ro=/usr:{programs.parent}:/usr", f"--bind={etc}:/etc/tandem-muc"]
        words += [f"--bind={state}:/var/lib/private/tandem-muc"]
        words += [f"--bind-ro={source}:{target}" for source, target in binds.items()]
        words += ["--", "--unit=basic.target"]
        self.process = Process("systemd", words, log=folder / "console.log", cwd=folder)
        self._manager: int | None = None

    def boot(self) -> "Systemd":
        self.process.start()
        self.process.wait_until(self._is_up, "it has booted", BOOT_S)
        return self

    def _is_up(self) -> bool:
        container = _child(self.process.pid)
        self._manager = _child(container) if container else None
        return self._manager is not None and self.control("is-active", "basic.target", check=False) == "active"

    def end(self) -> None:
        self.process.end()
        traces = Path("/run/systemd/nspawn/propagate") / self._name
        if traces.is_dir():
            traces.rmdir()

    def control(self, *words: str, check: bool = True, patience: float = 60) -> str:
        """`systemctl`; gives what it says."""
        done = subprocess.run(["nsenter", "-t", str(self._manager), "-a", "--", "systemctl", *words], capture_output=True, text=True, timeout=patience, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            journals = "\n".join(self.journal(unit)[-2000:] for unit in words[1:])
            raise Died(f"systemctl {' '.join(words)} ended with {done.returncode}: {done.stderr}\n{journals}")
        return done.stdout.strip()

    def property(self, unit: str, name: str) -> str:
        return self.control("show", unit, f"--property={name}", "--value")

    def kill(self, unit: str, number: signal.Signals) -> None:
        """Sends it to the main process, past systemd, as a fault would."""
        self.control("kill", "--kill-whom=main", f"--signal={number.name}", unit)

    def journal(self, unit: str) -> str:
        done = subprocess.run(["nsenter", "-t", str(self._manager), "-a", "--", "journalctl", "--no-pager", "--unit", unit], capture_output=True, text=True, timeout=30)
        return done.stdout


def _child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None
