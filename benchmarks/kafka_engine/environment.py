"""The environment in which the peer runs, made on demand: chdb 3.6.0, the last one whose Kafka engine starts."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

CHDB = "chdb==3.6.0"
FOLDER = Path(__file__).parents[2] / "build" / "kafka-engine"


def python() -> Path:
    """Its interpreter; the first call downloads about 170 MB."""
    interpreter, made = FOLDER / "bin" / "python", FOLDER / f".{CHDB}"
    if not made.exists():
        print(f"making the environment of the peer with {CHDB} in {FOLDER}", file=sys.stderr, flush=True)
        venv.create(FOLDER, clear=True, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "--quiet", CHDB], check=True)
        made.touch()
    return interpreter
