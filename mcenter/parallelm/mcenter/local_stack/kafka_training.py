"""Make the broker's starts cheap: record one start of a throw-away broker as a class cache of the Java runtime (AOT).

A start then takes two thirds of the processor time. The supervisor runs this once for each machine, as
``python -m parallelm.mcenter.local_stack.kafka_training CACHE_FILE``, after the stack is up; nothing waits for it, and
nothing but time is lost when it fails. The Java runtime itself ignores a cache that does not fit its version or jars.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from parallelm.mcenter.local_stack import kafka_broker
from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.kafka_jars import cache_folder, jar_folder
from parallelm.mcenter.local_stack.kafka_probe import kafka_answers
from parallelm.supervision.ports import choose_ports
from parallelm.supervision.process import ChildProcess
from parallelm.supervision.service_frame import interruptible

TIMEOUT_S = 120.0
LOW_PRIORITY = 10


def train(cache_file: Path) -> None:
    """Write ``cache_file``, whole or not at all; raises ``StackError`` with the broker's last words.

    Only one process at a time does this; another one leaves it alone.
    """
    with (cache_file.parent / "training.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        for left_over in cache_file.parent.glob("training-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            dir=cache_file.parent, prefix="training-", ignore_cleanup_errors=True
        ) as folder:
            _record(Path(folder)).replace(cache_file)


def _record(folder: Path) -> Path:
    """Start and stop a broker in ``folder``; the class cache that its Java runtime writes at its end."""
    jars, deadline = jar_folder(cache_folder()), time.monotonic() + TIMEOUT_S
    ports = choose_ports({"kafka": None, "controller": None}, {})
    properties, output = folder / "kafka.properties", folder / "classes.aot"
    settings = kafka_broker.server_properties(folder / "data", ports["kafka"], ports["controller"])
    kafka_broker.write_properties(properties, settings)
    _wait(_start(kafka_broker.format_command(jars, properties), folder), deadline)
    jvm = ("-Xmx256m", f"-XX:AOTCacheOutput={output}")
    broker = _start(kafka_broker.java_command(jars, "kafka.Kafka", str(properties), jvm=jvm), folder)
    while not kafka_answers(ports["kafka"]) and broker.exit_code() is None and time.monotonic() < deadline:
        broker.read_lines()
        time.sleep(0.2)
    broker.send(signal.SIGTERM)
    _wait(broker, deadline)
    if not output.exists():
        raise StackError("the training broker left no class cache:\n" + "\n".join(broker.last_lines))
    return output


def _start(command: list[str], folder: Path) -> ChildProcess:
    return ChildProcess(
        command, dict(os.environ) | kafka_broker.JAVA_ENVIRONMENT, folder, folder / "training.log"
    )


def _wait(child: ChildProcess, deadline: float) -> None:
    while child.exit_code() is None:
        if time.monotonic() > deadline:
            child.send(signal.SIGKILL)
        child.read_lines()
        time.sleep(0.1)
    child.close()


if __name__ == "__main__":
    os.nice(LOW_PRIORITY)
    with interruptible():
        train(Path(sys.argv[1]))
