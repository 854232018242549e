"""The examples of an installed package."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from parallelm.mcenter.cli import cli

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_examples_are_written_into_a_new_folder(tmp_path: Path):
    folder = tmp_path / "examples"
    done = CliRunner().invoke(cli, ["examples", str(folder)])
    assert done.exit_code == 0, done.output
    assert "mlapps" in done.output
    written = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    there = {path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*") if path.is_file()}
    assert written == {path for path in there if "__pycache__" not in path.parts}

    again = CliRunner().invoke(cli, ["examples", str(folder)])
    assert (again.exit_code, again.output) == (
        1,
        f"Error: {folder} exists already: name another folder, or remove it\n",
    )
