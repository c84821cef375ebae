"""A self-signed certificate for the throw-away servers, so that a person's own client may use TLS to look in."""

import shutil
import subprocess
from pathlib import Path


def make(folder: Path, host: str) -> tuple[Path, Path] | None:
    """Certificate and key for `host`, or nothing where there is no openssl: the servers then offer no TLS."""
    openssl = shutil.which("openssl")
    if not openssl:
        return None
    certificate, key = folder / "server.crt", folder / "server.key"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
         "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return certificate, key
