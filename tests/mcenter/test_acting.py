"""Commands act by one seam, which chooses between Kafka and a server's API."""

from __future__ import annotations

from pathlib import Path

from parallelm import mcenter

ROOT = Path(next(iter(mcenter.__path__)))
ACT_THEMSELVES = {
    # Prints a link for whoever administers the server's machine.
    "commands/server.py",
}


def test_no_command_but_these_is_the_author_of_what_it_does_without_asking_for_a_server():
    found = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        if "import author_of_command" in file.read_text(encoding="utf-8")
    }
    assert found == ACT_THEMSELVES
