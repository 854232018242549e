"""``make fuzz``: the property tests with chance, for as many minutes as are given.

    python -m tests.fuzz --minutes 20 --seed 7

Each round runs all property tests in an order and with examples that follow from its seed, which is printed. The first
round has the seed that is given. A failure ends the run with status 1 and the command that repeats its round.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

_SEED: Final = "FUZZ_SEED"
_END: Final = "FUZZ_END"


def main() -> int:
    """Run rounds until the minutes are over or one fails."""
    arguments = _arguments()
    end = time.time() + 60 * arguments.minutes
    seeds = random.Random(arguments.seed)
    seed, rounds = arguments.seed, 0
    while time.time() < end or not rounds:
        rounds += 1
        _say(f"fuzz: round {rounds}, seed {seed}, {max(0, end - time.time()) / 60:.1f} minutes left")
        status = _round(seed, end, arguments.tests)
        if status:
            _say(
                f"fuzz: FAILED in round {rounds}. To repeat it: make fuzz SEED={seed} MINUTES={arguments.minutes:g}"
            )
            return 1
        seed = seeds.randrange(2**32)
    _say(f"fuzz: {rounds} rounds in {arguments.minutes:g} minutes, no failure; first seed {arguments.seed}")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the first round; a fresh one by default")
    parser.add_argument("tests", nargs="*", default=["tests"], help="files or folders; all tests by default")
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = secrets.randbelow(2**32)
    return arguments


def _round(seed: int, end: float, tests: list[str]) -> int:
    """All property tests once, or as many of them as the time allows."""
    environment = os.environ | {_SEED: str(seed), _END: str(end), "HYPOTHESIS_PROFILE": "fuzz"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-n",
        "0",
        "-p",
        "tests.fuzz",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--timeout=1800", "--no-header", "-m", "hypothesis", f"--hypothesis-seed={seed}", *tests]
    return subprocess.run(command, env=environment, cwd=Path(__file__).parents[1], check=False).returncode


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """As pytest's plugin in a round: put the tests in an order that the seed gives."""
    random.Random(int(os.environ[_SEED])).shuffle(items)


_started: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Start no further test once the time is over; one at least is run."""
    if _started and time.time() >= float(os.environ[_END]):
        return True
    _started.append(item.nodeid)
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how far the round came."""
    terminalreporter.write_line(f"fuzz: {len(_started)} property tests were run")


if __name__ == "__main__":
    sys.exit(main())
