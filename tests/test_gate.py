"""`make check` is a gate only if it closes: a type error and a forbidden import planted in each room must fail it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
ROOMS = {
    "connections": "connections",
    "schemas": "schemas",
    "definitions": "definitions",
    "producers": "mlops",
    "stream_processors": "stream_processors",
    "sinks": "sinks",
    "warehouse": "warehouse",
    "supervision": "supervision",
    "operations": "operations",
    "agent": "agent",
    "server": "server",
    "mcenter": "mcenter",
}
FORBIDDEN = dict.fromkeys(ROOMS, "parallelm.sinks") | {"sinks": "parallelm.mlops"}
del FORBIDDEN["mcenter"]  # the command may import every room
CONTRACTS = (REPOSITORY / "pyproject.toml").read_text().count("[[tool.importlinter.contracts]]")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks, with its changes."""
    copy = tmp_path_factory.mktemp("gate")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - the machine's git
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    for name in filter(None, tracked):
        source = REPOSITORY / name
        if source.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy / name)
    if (cache := REPOSITORY / ".mypy_cache").is_dir():  # of what is the same in the copy
        shutil.copytree(cache, copy / cache.name)
    return copy


def run_check_step(tree: Path, step: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of `make check` in the copy; PYTHONPATH puts the copy's rooms before the installed ones."""
    environment = {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "PYTHONPATH": ":".join(str(tree / room) for room in ROOMS),
        "HOME": str(tree),
    }
    return subprocess.run(
        [str(BIN / step), *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def test_make_check_runs_the_steps_that_are_tested_here() -> None:
    recipe = (REPOSITORY / "Makefile").read_text().split("check:")[1].split("\n\n")[0]
    assert "mypy $(ROOMS)" in recipe
    assert "lint-imports" in recipe
    rooms = (REPOSITORY / "Makefile").read_text().split("ROOMS := ")[1].split("\n")[0].split()
    assert rooms == list(ROOMS)


@pytest.mark.gate
def test_a_type_error_in_any_room_fails_the_check(tree: Path) -> None:
    planted = []
    for room, package in ROOMS.items():
        file = tree / room / "parallelm" / package / "planted_type_error.py"
        file.write_text('"""Planted."""\n\nNUMBER: int = "no number"\n')
        planted.append(file)
    try:
        result = run_check_step(tree, "mypy", *ROOMS)
    finally:
        for file in planted:
            file.unlink()
    assert result.returncode == 1
    for file in planted:
        assert f"{file.relative_to(tree)}:3: error" in result.stdout


@pytest.mark.gate
def test_a_forbidden_import_in_any_room_fails_the_check(tree: Path) -> None:
    planted = {}
    for room, target in FORBIDDEN.items():
        file = tree / room / "parallelm" / ROOMS[room] / "planted_import.py"
        file.write_text(f'"""Planted."""\n\nimport {target}\n')
        planted[file] = f"parallelm.{ROOMS[room]}.planted_import -> {target}"
    try:
        result = run_check_step(tree, "lint-imports", "--no-cache")
    finally:
        for file in planted:
            file.unlink()
    assert result.returncode == 1
    assert f"Contracts: {CONTRACTS - len(FORBIDDEN)} kept, {len(FORBIDDEN)} broken" in result.stdout
    for imported in planted.values():
        assert imported in result.stdout


@pytest.mark.gate
@pytest.mark.parametrize(
    "statement",
    [
        "import parallelm.warehouse.migrations",
        "from parallelm.warehouse import migrate",
        "from parallelm.warehouse.errors import QueryError",
    ],
)
def test_of_the_warehouse_the_library_may_import_the_queries_only(tree: Path, statement: str) -> None:
    file = tree / "producers" / "parallelm" / "mlops" / "planted_import.py"
    file.write_text(f'"""Planted."""\n\n{statement}\n')
    try:
        result = run_check_step(tree, "lint-imports", "--no-cache")
    finally:
        file.unlink()
    assert result.returncode == 1
    assert f"Contracts: {CONTRACTS - 1} kept, 1 broken" in result.stdout
    assert "parallelm.mlops.planted_import -> parallelm.warehouse" in result.stdout


@pytest.mark.gate
def test_the_tree_as_it_stands_keeps_the_import_rules(tree: Path) -> None:
    assert run_check_step(tree, "lint-imports", "--no-cache").returncode == 0


@pytest.mark.gate
def test_unformatted_code_and_lint_errors_fail_the_check(tree: Path) -> None:
    file = tree / "schemas" / "parallelm" / "schemas" / "planted_style.py"
    file.write_text("import os\nx   =  1\n")
    try:
        assert run_check_step(tree, "ruff", "format", "--check", ".").returncode == 1
        assert run_check_step(tree, "ruff", "check", ".").returncode == 1
    finally:
        file.unlink()
