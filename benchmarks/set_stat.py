"""What ``set_stat`` costs its caller, beside prometheus_client and OpenTelemetry in the same run; and end to end.

The end-to-end part runs on a broker of its own, or on the one that ``MCENTER_CONFIG`` names.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import statistics
import tempfile
import time
import timeit
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.connections import load_settings, save_settings
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mlops import mlops
from parallelm.schemas.topic_admin import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 15
CALLS = 50_000
SAMPLES = 3_000_000


def peers() -> dict[str, Callable[[], object]]:
    """The same thing as users do it elsewhere."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from prometheus_client import CollectorRegistry, Counter

    prometheus = Counter("predictions", "of a model", registry=CollectorRegistry())
    meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("benchmark")
    counter = meter.create_counter("predictions")
    attributes = {"model": "a", "node": "b"}
    return {
        "prometheus_client Counter.inc": prometheus.inc,
        "OpenTelemetry Counter.add with attributes": lambda: counter.add(1, attributes),
    }


def caller_cost() -> None:
    """Median nanoseconds a call, the candidates taking turns so that noise hits all alike."""
    handle = mlops.series("predictions")
    names: dict[str, dict[str, object]] = {}
    statements: dict[str, str] = {}
    for name, call in peers().items():
        statements[name], names[name] = "call()", {"call": call}
    prometheus = "prometheus_client Counter.inc"
    statements[prometheus] = "counter.inc()"
    names[prometheus] = {"counter": names[prometheus]["call"].__self__}  # type: ignore[attr-defined]
    statements["mlops.set_stat(name, 1.0)"] = "mlops.set_stat('predictions', 1.0)"
    names["mlops.set_stat(name, 1.0)"] = {"mlops": mlops}
    statements["mlops.set_stat(name, 1)"] = "mlops.set_stat('predictions', 1)"
    names["mlops.set_stat(name, 1)"] = {"mlops": mlops}
    statements["series.set(1.0)"] = "series.set(1.0)"
    names["series.set(1.0)"] = {"series": handle}
    took: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(ROUNDS):
        for name, statement in statements.items():
            seconds = timeit.timeit(statement, globals=names[name], number=CALLS)
            took[name].append(seconds / CALLS * 1e9)
            mlops._queue.clear()  # noqa: SLF001 - nobody else empties it here
    base = statistics.median(took[prometheus])
    print("caller's cost, median of", ROUNDS, "rounds")
    for name, rounds in took.items():
        median = statistics.median(rounds)
        print(f"  {name:45} {median:8.0f} ns   {median / base:5.2f} x prometheus_client")


def end_to_end(samples: int) -> None:
    """From the call to a confirmed delivery, as fast as one thread can call."""
    mlops.set_stat("warm-up", 1.0)
    time.sleep(1.0)
    before = _cpu_s()
    started = time.perf_counter()
    for number in range(samples):
        mlops.set_stat("benchmark", float(number))
    called = time.perf_counter() - started
    mlops.done()
    took = time.perf_counter() - started
    dropped = sum(mlops.dropped().values())
    print(
        f"end to end: {samples} samples, {dropped} dropped; calls {called:.2f} s, delivered after {took:.2f} s"
    )
    print(f"  {(samples - dropped) / took / 1e6:.2f} M samples/s, {_cpu_s() - before:.2f} s of CPU")


def at_a_rate(rate: int, seconds: int) -> None:
    """Share of a core that reporting takes, callers included, at a steady rate."""
    mlops.set_stat("warm-up", 1.0)
    time.sleep(1.0)
    before, started = _cpu_s(), time.perf_counter()
    for tick in range(seconds * 100):
        for number in range(rate // 100):
            mlops.set_stat("benchmark", float(number))
        time.sleep(max(0.0, started + (tick + 1) / 100 - time.perf_counter()))
    mlops.done()
    share = (_cpu_s() - before) / (time.perf_counter() - started)
    print(f"{rate} samples/s: {share:.1%} of a core, {sum(mlops.dropped().values())} dropped")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def broker() -> Iterator[None]:
    """A broker with topics, which the library finds by its environment."""
    with contextlib.ExitStack() as stack:
        if "MCENTER_CONFIG" not in os.environ:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            local = stack.enter_context(LocalStack(folder, services=("kafka",)))
            save_settings(local.settings, folder / "benchmark.toml")
            os.environ["MCENTER_CONFIG"] = str(folder / "benchmark.toml")
            stack.callback(os.environ.pop, "MCENTER_CONFIG")
        create_topics(load_settings())
        yield


def main() -> None:
    """The caller's cost, then samples a second, then the share of a core at a steady rate."""
    logging.basicConfig(level=logging.ERROR)
    # No sender thread beside the caller while its cost is measured: that thread's share is measured end to end.
    alone = {"MCENTER_COMPONENT_FLUSH_INTERVAL_MS": "3600000", "MCENTER_COMPONENT_CLOSE_TIMEOUT_S": "0.1"}
    os.environ.update(alone)
    mlops.init(mlops_mode="agent")
    mlops.set_stat("warm-up", 1.0)
    caller_cost()
    mlops.done()
    for name in alone:
        del os.environ[name]
    os.environ["MCENTER_COMPONENT_QUEUE_MAX_SAMPLES"] = str(SAMPLES)
    with broker():
        mlops.init(mlops_mode="agent")
        end_to_end(SAMPLES)
        mlops.init(mlops_mode="agent")
        at_a_rate(100_000, 10)


if __name__ == "__main__":
    main()
