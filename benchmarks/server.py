"""How fast pages come with 1,000 MLApps, 10,000 series and 50 million samples, and what 50 viewers cost one core.

There are 100,000 runs, half of them of one MLApp, 1,000 agents, and a run that has written 100,000 lines.

A server process on one core, ClickHouse beside it. Ratios are against an answer without any question (``/api/v1/health``)
over the same connection. ``--millions 5`` makes it smaller.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

import httpx
import psutil

from benchmarks.warehouse_of_runs import CHATTY, fill_runs
from benchmarks.warehouse_of_runs import MLAPP as OF_RUNS
from benchmarks.warehouse_of_samples import COLUMNS, ONE_PART
from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.well_known import SERVER_ACCOUNT
from parallelm.server.access.authentication import cookie_name
from parallelm.server.access.matrix import ADMIN
from parallelm.server.access.principal import EVERY_MLAPP
from parallelm.server.accounts import people, sessions
from parallelm.server.accounts.database import Database
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.supervision.service_frame import READY_FILE
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings

MLAPPS: Final = 1_000
SERIES: Final = 10_000
VIEWERS: Final = 50
THINK_S: Final = 10.0
"""A viewer looks at a page for so long before he opens the next one."""
RUN_S: Final = 60.0
ROUNDS: Final = 7
INSERTED: Final = 1_000_000
PAGES: Final = {
    "overview": "/",
    "overview, search": "/?q=app-77",
    "summary of an MLApp": "/mlapps/app-7",
    "its Health View": "/mlapps/app-7/health",
    "its statistics": "/mlapps/app-7/statistics",
    "its timeline": "/mlapps/app-7/timeline",
    "alerts": "/alerts",
    "models": "/models",
    "runs of an MLApp": f"/mlapps/{OF_RUNS}/runs",
    "those that failed": f"/mlapps/{OF_RUNS}/runs?state=failed",
    "a run and its log": f"/mlapps/{OF_RUNS}/runs/{CHATTY}",
    "agents": "/hosts",
    "an agent": "/hosts/agent-5",
    "schedule": "/schedule",
}
_DEFINITIONS: Final = """
INSERT INTO mlapps (mlapp_id, event_time, name, version, model_policy, applied_by, stage, nodes.node_id, nodes.name,
    nodes.type, nodes.mode, nodes.schedule, nodes.pipeline, nodes.parents, nodes.consumes, source_yaml, ingested_at)
SELECT 'app-' || toString(number), now64(3), 'Application ' || toString(number), 1, 'manual', 'ada', 'production',
    ['train', 'predict'], ['Train', 'Predict'], ['model_producer', 'model_consumer'], ['offline', 'offline'], ['', ''],
    ['', ''], [[], ['train']], [[], ['train']], '', now64(3)
FROM numbers({mlapps})
"""
_SAMPLES: Final = """
SELECT 'app-' || toString(intDiv(number % {series}, 10)), ['pipelinestat.count', 'latency', 'loss', 'a', 'b', 'c', 'd', 'e',
        'f', 'g'][number % 10 + 1], 'predict', '', map(),
    fromUnixTimestamp64Milli(toInt64({start_ms} + intDiv(number, {series}) * {step_ms}), 'UTC'), rand() / 4294967296,
    'host-1', 'p-1', 'TIME_SERIES', 'LINEGRAPH', 'p', intDiv(number, {series}), now64(3), 'mlops.statistics', 'id', 0,
    intDiv(number, 10), number % 10, 0
FROM numbers({first}, {count})
"""
_ALERTS: Final = """
INSERT INTO alert_transitions_log (mlapp_id, event_time, transition_id, alert_id, fingerprint, rule, rule_type, state,
    previous_state, severity, started_at, statistic, node_id, ingested_at, _offset)
SELECT 'app-' || toString(number % {mlapps}), now64(3) - toIntervalSecond(number), 't-' || toString(number),
    'a-' || toString(intDiv(number, 2)), 'f', 'slow', 'threshold', if(number % 2 = 0 OR number % 50 = 1, 'firing', 'resolved'),
    'pending', if(number % 3 = 0, 'critical', 'warning'), now64(3), 'latency', 'predict', now64(3), number
FROM numbers(20000)
"""
_DEPLOYMENTS: Final = """
INSERT INTO deployment_transitions_log (mlapp_id, event_time, transition_id, node_id, model_id, deployment_id, attempt, state,
    previous_state, policy, ingested_at, _offset)
SELECT 'app-' || toString(number % {mlapps}), now64(3), 't-' || toString(number), 'predict', 'm-' || toString(number),
    'd-' || toString(number), intDiv(number, {mlapps}) + 1, if(number % 7 = 0, 'awaiting_approval', 'active'), 'requested',
    'manual', now64(3), number
FROM numbers(5000)
"""


def main() -> None:
    """Print how long each page takes, and how fifty viewers fare."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millions", type=int, default=50)
    samples = options.parse_args().millions * 1_000_000
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        stack = opened.enter_context(LocalStack(folder / "stack", services=("kafka", "clickhouse")))
        settings = stack.admin_settings
        create_topics(settings)
        migrate(settings)
        with clickhouse_client(replace(settings.clickhouse, query_timeout_s=600.0)) as client:
            fill(client, samples)
            fill_runs(client)
        database = opened.enter_context(opened_database(folder / "server.db"))
        client = signed_in(database, opened.enter_context(running_server(settings, folder)))
        server, engine = psutil.Process(int((folder / "pid").read_text())), _engine()
        _pages(client, engine)
        _viewers(client, server, engine)


def fill(client: Client, samples: int) -> None:
    """A year of samples, definitions, alerts and deployments."""
    step_ms = 365 * 86_400_000 // max(samples // SERIES, 1)
    start_ms = time.time_ns() // 1_000_000 - 365 * 86_400_000
    for first in range(0, samples, INSERTED):
        select = _SAMPLES.format(
            series=SERIES,
            start_ms=start_ms,
            step_ms=step_ms,
            first=first,
            count=min(INSERTED, samples - first),
        )
        client.execute(f"INSERT INTO statistics ({COLUMNS}) {select}", settings=ONE_PART)
    for statement in (_DEFINITIONS, _ALERTS, _DEPLOYMENTS):
        client.execute(statement.format(mlapps=MLAPPS))


@contextmanager
def opened_database(file: Path) -> Iterator[Database]:
    """Accounts, with an administrator ``ada``."""
    database = Database(f"sqlite:///{file}")
    try:
        with database.writing() as sql:
            people.create(
                sql,
                "ada",
                time.time_ns() // 1_000_000,
                password="correct horse",  # noqa: S106 - of a server that nobody else reaches
                grants=[(ADMIN, EVERY_MLAPP)],
            )
        yield database
    finally:
        database.close()


@contextmanager
def running_server(settings: Settings, folder: Path) -> Iterator[str]:
    """The command as a process on one core, with ``folder/mcenter.toml``; yields its address."""
    port = _free_port()
    own = replace(settings.server, port=port, database_url=f"sqlite:///{folder / 'server.db'}")
    save_settings(replace(settings, server=own), folder / "mcenter.toml")
    ready = folder / "ready"
    environ = {**os.environ, "MCENTER_CONFIG": str(folder / "mcenter.toml"), READY_FILE: str(ready)}
    command = killed_with_us(sys.executable, "-m", "parallelm.mcenter", "server")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        psutil.Process(process.pid).cpu_affinity([0])
        (folder / "pid").write_text(str(process.pid))
        try:
            while not ready.exists() and process.poll() is None:
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    from parallelm.supervision.ports import choose_ports

    return choose_ports({"server": None}, {})["server"]


def signed_in(database: Database, url: str) -> httpx.Client:
    """A client of hers."""
    with database.writing() as sql:
        account = people.find(sql, "ada")
        secret = sessions.begin(
            sql, account, SERVER_ACCOUNT, time.time_ns() // 1_000_000, sessions.Lifetimes()
        )
    cookies = {cookie_name(database): secret}
    return httpx.Client(base_url=url, cookies=cookies, headers={"Accept": "text/html"}, timeout=60)


def _seconds(client: httpx.Client, path: str) -> tuple[float, int]:
    start = time.perf_counter()
    answer = client.get(path)
    took = time.perf_counter() - start
    answer.raise_for_status()
    return took, len(answer.content)


def _engine() -> psutil.Process:
    """ClickHouse of our stack: what it computes is the same however busy the machine is."""
    ours = psutil.Process().children(recursive=True)
    return next(each for each in ours if "parallelm.mcenter.engine" in each.cmdline())


def _pages(client: httpx.Client, engine: psutil.Process) -> None:
    first, _ = _seconds(client, "/")
    print(f"first page of a server that has just started: {first:.2f} s")
    nothing = median(_seconds(client, "/api/v1/health")[0] for _ in range(ROUNDS))
    print(f"an answer without a question: {nothing * 1000:.1f} ms")
    for name, path in PAGES.items():
        before = _used_s(engine)
        taken = [_seconds(client, path) for _ in range(ROUNDS)]
        computed = (_used_s(engine) - before) / ROUNDS
        times = [seconds for seconds, _ in taken]
        print(
            f"{name:<22} median {median(times) * 1000:6.0f} ms, most {max(times) * 1000:6.0f} ms, "
            f"{taken[0][1] / 1000:6.0f} kB, {median(times) / nothing:5.0f} times the answer without a question, "
            f"{computed * 1000:5.0f} ms of CPU in ClickHouse"
        )


def _viewers(client: httpx.Client, process: psutil.Process, engine: psutil.Process) -> None:
    """Fifty sessions that look at a page for ten seconds each, with its stream of events open."""
    times: list[float] = []
    heard = [0] * VIEWERS
    end = time.monotonic() + RUN_S
    threads = [
        threading.Thread(target=_view, args=(client, number, end, times, heard)) for number in range(VIEWERS)
    ]
    before, computed, start = _used_s(process), _used_s(engine), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, used = time.monotonic() - start, _used_s(process) - before
    cuts = quantiles(times, n=100)
    print(
        f"{VIEWERS} viewers, a page in {THINK_S:.0f} s each: {len(times)} pages, median {median(times) * 1000:.0f} ms, "
        f"p95 {cuts[94] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms; the server used {used / wall:.0%} of its core, "
        f"{process.memory_info().rss / 1e6:.0f} MB; ClickHouse used {(_used_s(engine) - computed) / wall:.1f} cores"
    )
    print(f"events of a viewer in 10 s while nothing arrives: {max(heard) / wall * 10:.0f} bytes at most")


def _view(client: httpx.Client, number: int, end: float, times: list[float], heard: list[int]) -> None:
    chance = random.Random(number)
    paths = list(PAGES.values())
    with httpx.Client(
        base_url=client.base_url, cookies=client.cookies, headers=client.headers, timeout=60
    ) as own:
        listener = threading.Thread(target=_listen, args=(client, number, end, heard), daemon=True)
        listener.start()
        time.sleep(chance.random() * THINK_S)
        while time.monotonic() < end:
            took, _ = _seconds(own, chance.choice(paths))
            times.append(took)
            time.sleep(max(0.0, min(THINK_S, end - time.monotonic())))
        listener.join(20)


def _listen(client: httpx.Client, number: int, end: float, heard: list[int]) -> None:
    with (
        httpx.Client(base_url=client.base_url, cookies=client.cookies, timeout=30) as own,
        own.stream("GET", "/live") as stream,
    ):
        for piece in stream.iter_raw():
            heard[number] += len(piece)
            if time.monotonic() > end:
                return


def _used_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


if __name__ == "__main__":
    main()
