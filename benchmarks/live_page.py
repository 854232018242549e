"""What a browser gets while it looks at a page of many charts on which something arrives each second.

Chromium itself counts: every byte of every answer, headers included, of the stream of events and of what the page asks for then.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import sync_playwright

from benchmarks.server import opened_database, running_server, signed_in
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.topic_admin import create_topics
from parallelm.supervision.die_with_parent import killed_with_us
from parallelm.warehouse import migrate
from parallelm.warehouse.queries import reported_statistics
from tests.server.browser.chromium import browser_tools

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page

    from parallelm.connections import Settings

MLAPP: Final = "live"
CHARTS: Final = 24
"""As many as a page of statistics has."""
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
    """Print the bytes of each ten seconds."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--windows", type=int, default=WINDOWS)
    windows = options.parse_args().windows
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
            "PM_WORKFLOW_NODE_ID": "predict",
        }
        for program in (["-m", "parallelm.mcenter", "sink"], ["-c", _COMPONENT, str(CHARTS), str(HISTORY)]):
            process = subprocess.Popen(killed_with_us(sys.executable, *program), env=environ)
            opened.callback(process.kill)
        _wait(settings)
        _look(signed_in(database, url), url, windows)


def _wait(settings: Settings) -> None:
    while len(reported_statistics(settings, MLAPP)) < CHARTS:
        time.sleep(0.5)


def _look(client: httpx.Client, url: str, windows: int) -> None:
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
        page = context.new_page()
        counted = _Counted(page)
        page.goto(f"/mlapps/{MLAPP}/statistics")
        page.wait_for_function(
            "() => document.querySelectorAll('.canvas').length && !document.querySelector('.canvas[aria-busy]')"
        )
        charts = page.locator("[data-chart-url]").count()
        print(f"the page and its {charts} charts: {counted.take()[0] / 1000:.0f} kB")
        found = []
        for _ in range(windows):
            page.wait_for_timeout(WINDOW_S * 1000)
            found.append(counted.take())
        browser.close()
    sizes = [size for size, _ in found]
    print(
        f"then {WINDOW_S:.0f} s each, with {CHARTS} samples in a record each second: median {median(sizes):.0f} bytes, "
        f"most {max(sizes)}; requests {[requests for _, requests in found]}"
    )


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
