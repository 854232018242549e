"""What a browser gets while it looks at a page on which something arrives each second, for each kind of page.

Chromium itself counts: every byte of every answer, headers included, of the stream of events and of what the page asks for then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import sync_playwright

from benchmarks.server import opened_database, running_server, signed_in
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas import topics
from parallelm.schemas.records import RunState
from parallelm.schemas.topic_admin import create_topics
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.warehouse import migrate
from parallelm.warehouse.queries import reported_statistics, run_rows
from tests.server.browser.chromium import browser_tools
from tests.server.run_records import LINES, MLAPP, SERVING, lines_of, seed_runs, send, transition

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from playwright.sync_api import Page

    from parallelm.connections import Settings

CHARTS: Final = 24
"""As many as a page of statistics has."""
PAGES: Final = {
    "overview": "/",
    "summary": f"/mlapps/{MLAPP}",
    "statistics": f"/mlapps/{MLAPP}/statistics",
    "health": f"/mlapps/{MLAPP}/health",
    "timeline": f"/mlapps/{MLAPP}/timeline?statistic=statistic+00",
    "runs": f"/mlapps/{MLAPP}/runs",
    "run": f"/mlapps/{MLAPP}/runs/{SERVING}",
    "agents": "/hosts",
    "agent": "/hosts/web-1",
    "models": f"/mlapps/{MLAPP}/models",
    "alerts": f"/mlapps/{MLAPP}/alerts",
    "kpis": f"/mlapps/{MLAPP}/kpis",
    "operations": "/operations",
}
WINDOW_S: Final = 10.0
WINDOWS: Final = 6
HISTORY: Final = 600
_COMPONENT: Final = """
import random, sys, time
from datetime import UTC, datetime, timedelta
from parallelm.mlops import mlops
mlops.init()
charts, history = int(sys.argv[1]), int(sys.argv[2])
began = datetime.now(UTC) - timedelta(seconds=history)
for second in range(history + 86_400):
    now = second >= history
    with mlops.event_time(began + timedelta(seconds=second)):
        for number in range(charts):
            mlops.set_stat(f"statistic {number:02d}", random.random())
    if now:
        time.sleep(1)
"""


def main() -> None:
    """Print the bytes of each ten seconds, page by page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--windows", type=int, default=WINDOWS)
    options.add_argument(
        "--page", action="append", choices=sorted(PAGES), help="Only this one; may be repeated."
    )
    chosen = options.parse_args()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        stack = opened.enter_context(LocalStack(folder / "stack", services=("kafka", "clickhouse")))
        settings = stack.admin_settings
        create_topics(settings)
        migrate(settings)
        database = opened.enter_context(opened_database(folder / "server.db"))
        url = opened.enter_context(running_server(settings, folder))
        environ = {
            **os.environ,
            "MCENTER_CONFIG": str(folder / "mcenter.toml"),
            "PM_MLOPS_MODE": "agent",
            "PM_WORKFLOW_INSTANCE_ID": MLAPP,
            "PM_WORKFLOW_NODE_ID": "serve",
        }
        for program in (["-m", "parallelm.mcenter", "sink"], ["-c", _COMPONENT, str(CHARTS), str(HISTORY)]):
            process = subprocess.Popen(killed_with_us(sys.executable, *program), env=environ)
            opened.callback(process.kill)
        seed_runs(settings, _now_ms())
        _wait(settings)
        ends = threading.Event()
        opened.callback(ends.set)
        threading.Thread(target=_work, args=(settings, ends), daemon=True).start()
        _look(
            signed_in(database, url),
            url,
            {name: PAGES[name] for name in chosen.page or PAGES},
            chosen.windows,
        )


def _wait(settings: Settings) -> None:
    while len(reported_statistics(settings, MLAPP)) < CHARTS or run_rows(settings, run_id=SERVING) == []:
        time.sleep(0.5)


def _work(settings: Settings, ends: threading.Event) -> None:
    """Each two seconds a run begins, the one before ends, and the serving one writes twenty lines."""
    number = 0
    while not ends.wait(2):
        number += 1
        now_ms = _now_ms()
        began = transition(
            f"{number:016x}", "report", RunState.RUNNING, now_ms, agent_id="web-1", trigger="parent"
        )
        texts = [f"scored {each} customers" for each in range(20)]
        sent: list[Any] = [
            (topics.RUNS, began),
            (topics.LOGS, lines_of(SERVING, "serve", LINES + 1 + 20 * number, texts, now_ms)),
        ]
        if number > 1:
            last = {"agent_id": "web-1", "due_at_ms": now_ms - 2000, "trigger": "parent"}
            ended = transition(f"{number - 1:016x}", "report", RunState.SUCCEEDED, now_ms, **last)
            sent.append((topics.RUNS, ended))
        send(settings, *sent)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _look(client: httpx.Client, url: str, pages: Mapping[str, str], windows: int) -> None:
    tools = browser_tools()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=tools.chromium,
            env=dict(tools.environment),
            args=["--no-sandbox", "--headless=shell", "--disable-gpu"],
        )
        # As high as all charts: each is in sight.
        context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 4000})
        context.add_cookies(
            [{"name": name, "value": str(value), "url": url} for name, value in client.cookies.items()]
        )
        print(
            f"{CHARTS} samples in a record each second, a run that begins and one that ends each two seconds"
        )
        for name, path in pages.items():
            page = context.new_page()
            counted = _Counted(page)
            page.goto(path)
            page.wait_for_function("() => !document.querySelector('.canvas[aria-busy]')", timeout=120_000)
            first = counted.take()[0]
            found = []
            for _ in range(windows):
                page.wait_for_timeout(WINDOW_S * 1000)
                found.append(counted.take())
            page.close()
            sizes = [size for size, _ in found]
            print(
                f"{name:<14} {first / 1000:6.0f} kB; then in {WINDOW_S:.0f} s median {median(sizes):6.0f} bytes, most "
                f"{max(sizes):6.0f}; requests {[requests for _, requests in found]}",
                flush=True,
            )
        browser.close()


class _Counted:
    """Bytes that Chromium got from the network since it was last asked, and how many requests were answered."""

    def __init__(self, page: Page) -> None:
        self._size = self._requests = 0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        self._streamed: dict[str, int] = {}
        session.on("Network.dataReceived", self._data)
        session.on("Network.loadingFinished", self._finished)

    def take(self) -> tuple[int, int]:
        """So many since the last time."""
        found = self._size + sum(self._streamed.values()), self._requests
        self._size = self._requests = 0
        self._streamed = dict.fromkeys(self._streamed, 0)
        return found

    def _data(self, event: dict[str, Any]) -> None:
        size = self._streamed.get(event["requestId"], 0)
        self._streamed[event["requestId"]] = size + max(event["encodedDataLength"], 0)

    def _finished(self, event: dict[str, Any]) -> None:
        # Its total has the headers too, which come with no other event.
        self._streamed.pop(event["requestId"], None)
        self._size += int(event["encodedDataLength"])
        self._requests += 1


if __name__ == "__main__":
    main()
