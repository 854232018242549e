"""A disk or an artifact store that hangs holds up nothing but the model that it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.producers.conftest import DEADLINE_S

if TYPE_CHECKING:
    from tests.producers.conftest import Component

PUBLISHING = """
import threading, time
from parallelm.mlops import mlops
from parallelm.mlops.models.model import ModelFormat

stuck, free = threading.Event(), threading.Event()

{hang}

mlops.init()
open("m.txt", "w").write("weights")
model = mlops.Model("m", ModelFormat.TEXT)
model.set_model_path("m.txt")
publishing = threading.Thread(target=mlops.publish_model, args=(model,))
publishing.start()
assert stuck.wait(100)
longest_s = 0.0
for number in range(2000):
    started = time.perf_counter()
    mlops.set_stat("x", float(number))
    longest_s = max(longest_s, time.perf_counter() - started)
mlops.data_alert("in the meantime", "")
print(longest_s, publishing.is_alive(), flush=True)
input()
free.set()
publishing.join(100)
mlops.done()
print(mlops.dropped())
"""

SLOW_COPY = """
import shutil
copy = shutil.copyfile
def copyfile(*arguments):
    stuck.set()
    assert free.wait(100)
    return copy(*arguments)
shutil.copyfile = copyfile
"""

SLOW_STORE = """
from fsspec.implementations.local import LocalFileSystem
put_file = LocalFileSystem.put_file
def slowly(self, *arguments, **options):
    stuck.set()
    assert free.wait(100)
    return put_file(self, *arguments, **options)
LocalFileSystem.put_file = slowly
"""


@pytest.mark.parametrize(
    ("hang", "caller_waits"), [(SLOW_COPY, True), (SLOW_STORE, False)], ids=["the disk", "the store"]
)
def test_only_the_model_waits(component: Component, hang: str, caller_waits: bool) -> None:
    with component.start(PUBLISHING.format(hang=hang)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        longest_s, waits = process.stdout.readline().split()
        # All of it is at the broker while the copy, or the upload, still hangs.
        assert len(component.samples("x", 2000)) == 2000
        (alert,) = component.records("events", bool)
        process.stdin.write("go on\n")
        out, error = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (0, "{}\n"), error
    assert alert.title == "in the meantime"
    assert float(longest_s) < 2
    if caller_waits:
        assert waits == "True"
    (announced,) = component.records("models", bool)
    assert announced.name == "m"
