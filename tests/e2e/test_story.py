"""The demo is the first thing anyone sees: it must tell its story, prove it, and leave nothing behind."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from harness import component

DEMO = component.ROOT / "conf" / "demo" / "demo.py"
DEMO_PAIR = DEMO.with_name("demo_pair.py")


def run(*words: str, binary: Path | None = None, demo: Path = DEMO) -> tuple[subprocess.CompletedProcess, list[str]]:
    """Runs the demo with a directory of its own for everything temporary; gives what is left in there too."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        env = {**os.environ, "TMPDIR": folder, "TANDEM_MUC_BIN": str(binary or component.binary()), "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([sys.executable, str(demo), "--once", *words], capture_output=True, text=True, timeout=100, env=env, stdin=subprocess.DEVNULL)
        return done, os.listdir(folder)


@pytest.mark.parametrize("kind", ["prosody", "ejabberd"])
def test_the_demo_tells_its_story(kind):
    done, left = run("--server", kind)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kill -9" in done.stdout and "7 messages, each once" in done.stdout
    assert "\x1b" not in done.stdout, "no colour where there is no terminal"
    assert done.stderr == ""
    assert left == [], "it left something behind"


@pytest.mark.parametrize("kind", ["prosody", "ejabberd"])
def test_the_demo_of_the_pair_tells_its_story(kind):
    done, left = run("--server", kind, demo=DEMO_PAIR)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kill -9" in done.stdout and "0 / 0 / 0" in done.stdout and "Running in Backup Mode" in done.stdout
    assert done.stdout.count("noticed nothing") == 4
    assert done.stderr == ""
    assert left == [], "it left something behind"


@pytest.mark.parametrize("demo", [DEMO, DEMO_PAIR], ids=["demo", "demo-pair"])
def test_a_demo_that_cannot_be_proven_says_so_and_fails(tmp_path, demo):
    broken = tmp_path / "tandem-muc"
    broken.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 3\n")
    broken.chmod(0o755)
    done, left = run(binary=broken, demo=demo)
    assert done.returncode == 1
    assert "no such thing" in done.stdout and "Traceback" not in done.stdout + done.stderr
    assert left == []
