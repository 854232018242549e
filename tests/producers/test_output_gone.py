"""A stdout without a reader, a full disk, an interpreter at its end: the host program does not notice."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.mlops import MLOps
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import ModelFormat
from parallelm.supervision.die_with_parent import killed_with_us
from tests.producers.conftest import DEADLINE_S

if TYPE_CHECKING:
    from tests.producers.conftest import Component

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
PROGRAM = """
import sys
from parallelm.mlops import mlops
mlops.init()
for number in range(int(sys.argv[1])):
    mlops.set_stat("x", number)
if "done" in sys.argv:
    mlops.done()
print("the program's last words", file=sys.stderr)
"""


def environment(**more: str) -> dict[str, str]:
    left_out = ("MCENTER_", "PM_", "PYTHONUNBUFFERED")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)} | more


def shell(line: str, folder: Path, *arguments: str, **more: str) -> tuple[int, str, str]:
    (folder / "program.py").write_text(PROGRAM)
    ran = subprocess.run(
        killed_with_us("/bin/sh", "-c", line, "sh", sys.executable, "program.py", *arguments),
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    return ran.returncode, ran.stdout, ran.stderr


def dropped_lines(error: str) -> int:
    """How many lines the log counts as dropped."""
    return sum(int(count) for count in re.findall(r"reports dropped: (\d+) not_written", error))


def printed_nothing_else(error: str) -> bool:
    """The program ran to its end, and its stderr holds nothing else but the library's lines about dropped reports."""
    of_the_library = ("reports dropped: ", "reports are dropped from now on")
    return [line for line in error.splitlines() if not line.startswith(of_the_library)] == [
        "the program's last words"
    ]


@POSIX
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("ending", ["", "done"])
@pytest.mark.parametrize("reports", [3, 50_000])
def test_a_reader_that_leaves_does_not_end_the_component(
    tmp_path: Path, reports: int, ending: str, unbuffered: str
) -> None:
    line = '{ "$@"; echo "status $?" >&2; } | head -1'
    _, out, error = shell(line, tmp_path, str(reports), ending, PYTHONUNBUFFERED=unbuffered)
    assert out.endswith(", x, LINEGRAPH, TIME_SERIES, {'x': 0} \n")
    output, _, status = error.rpartition("status ")
    assert status == "0\n"
    assert printed_nothing_else(output), output


@POSIX
@pytest.mark.parametrize("ending", ["", "done"])
def test_a_component_without_a_stdout_runs(tmp_path: Path, ending: str) -> None:
    status, _, error = shell('exec "$@" >&-', tmp_path, "3", ending)
    assert status == 0
    assert printed_nothing_else(error), error
    assert dropped_lines(error) == 3


@POSIX
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_drops_lines_and_logs_how_many(tmp_path: Path) -> None:
    status, _, error = shell('exec "$@"', tmp_path, "3", PM_MLOPS_FILE="/dev/full")
    assert status == 0
    assert printed_nothing_else(error), error
    assert dropped_lines(error) == 3
    assert error.count("No space left on device") == 2  # at the first one, and at the end


class Refusing:
    def write(self, _: str) -> int:
        raise RuntimeError("of the host's own stream")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, closed(), Refusing(), object()], ids=lambda one: type(one).__name__)
def test_whatever_stands_in_place_of_stdout_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, stream: Any
) -> None:
    monkeypatch.delenv("PM_MLOPS_FILE", raising=False)
    library = MLOps()
    library.init()
    monkeypatch.setattr(sys, "stdout", stream)
    library.set_stat("x", 1.0)
    library.data_alert("title", "words")
    assert library.dropped() == {"not_written": 2}
    library.done()
    assert library.dropped() == {"not_written": 2}


def test_a_model_that_finds_no_room_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "model").write_text("weights")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    library = MLOps()
    library.init()
    model = library.Model("m", ModelFormat.TEXT)
    model.set_model_path(tmp_path / "model")
    with pytest.raises(MLOpsException, match="the model cannot be copied to a temporary directory"):
        library.publish_model(model)
    library.done()


@pytest.mark.skipif(os.name != "posix", reason="this system has no limit of the size of files")
def test_a_line_that_a_full_disk_cut_does_not_swallow_the_next(tmp_path: Path) -> None:
    output = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import json, resource
from parallelm.mlops import mlops
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
mlops.init()
mlops.set_stat("whole", 1)
limit(75)
mlops.set_stat("cut", 2)
mlops.set_stat("lost", 3)
limit(resource.RLIM_INFINITY)
mlops.set_stat("after", 4)
mlops.done()
print(json.dumps(mlops.dropped()))
""",
        ],
        cwd=tmp_path,
        env=environment(PM_MLOPS_FILE="lines"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(output.stdout) == {"not_written": 2}
    whole, cut, after = (tmp_path / "lines").read_text().splitlines()
    assert whole.endswith("{'whole': 1} ")
    assert len(cut) == 75 - len(whole) - 1
    assert after.split(", ", 1)[1] == "after, LINEGRAPH, TIME_SERIES, {'after': 4} "


def test_a_file_that_an_earlier_run_left_within_a_line_gets_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("cut by a ki")
    shell('exec "$@"', tmp_path, "1", PM_MLOPS_FILE="lines")
    cut, line = (tmp_path / "lines").read_text().splitlines()
    assert cut == "cut by a ki"
    assert line.endswith("{'x': 0} ")


def test_processes_share_the_file_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    children = [
        subprocess.Popen(
            killed_with_us(sys.executable, "program.py", "2000"),
            cwd=tmp_path,
            env=environment(PM_MLOPS_FILE="lines"),
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    assert [child.wait(DEADLINE_S) for child in children] == [0, 0, 0]
    lines = (tmp_path / "lines").read_text().splitlines()
    values = sorted(int(line.rpartition(": ")[2].removesuffix("} ")) for line in lines)
    assert values == sorted([*range(2000)] * 3)


LATE = """
import atexit, sys, threading
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats.table import Table

def report():
    mlops.set_stat("late", 1.0)
    mlops.set_stat("late", 1)
    mlops.set_stat(table)
    series.set(1.0)
    mlops.set_kpi("late", 1)
    mlops.data_alert("late", "words")
    mlops.event(None)  # wrong, but it is too late to say so
    mlops.set_data_distribution_stat([[1.0]])
    model.set_stat("late", 1)
    model.set_kpi("late", 1)
    mlops.publish_model(model)

class Finalized:
    def __del__(self):
        report()
        print("finalized", file=sys.stderr)

@atexit.register
def hook():
    report()
    assert mlops.dropped()["interpreter_ends"] > 0
    print("hook", file=sys.stderr)

atexit.register(mlops.done)
mlops.init()
table = Table().name("t").cols(["a"]).add_row([1])
series = mlops.series("s")
model = mlops.Model("m", ModelFormat.TEXT)
{ending}
"""
FINALIZER = """
kept = [Finalized()]
kept.append(kept)
"""
DAEMON_THREADS = """
running = threading.Event()

def loop():
    while True:
        mlops.set_stat("thread", 1)
        mlops.data_alert("thread", "words")
        mlops.set_kpi("thread", 1)
        running.set()

for _ in range(3):
    threading.Thread(target=loop, daemon=True).start()
running.wait()
"""
ENDINGS = {
    "finalizer": (LATE.replace("{ending}", FINALIZER), ["hook", "finalized"]),
    "daemon threads": (LATE.replace("{ending}", DAEMON_THREADS), ["hook"]),
}
endings = pytest.mark.parametrize(("program", "words"), ENDINGS.values(), ids=ENDINGS)


def assert_ended_well(status: int | None, error: str, words: list[str]) -> None:
    lines = error.splitlines()
    of_the_library = ("reports dropped: ", "reports are dropped from now on: ", "reports wait: ")
    assert status == 0, error
    assert [line for line in lines if not line.startswith(of_the_library)] == words
    assert sum(line.startswith("reports are dropped from now on: ") for line in lines) == 1


@endings
def test_reports_while_the_interpreter_ends_raise_nothing_stand_alone(program: str, words: list[str]) -> None:
    ran = subprocess.run(
        killed_with_us(sys.executable, "-c", program),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert_ended_well(ran.returncode, ran.stderr, words)


@endings
def test_reports_while_the_interpreter_ends_raise_nothing_connected(
    component: Component, program: str, words: list[str]
) -> None:
    with component.start(program) as process:
        _, error = process.communicate(timeout=DEADLINE_S)
    assert_ended_well(process.returncode, error, words)
