"""Whatever components put into names, labels and texts: pages show it as text, and their links lead to it."""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import pytest

from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.schemas.records import KpiPoint
from parallelm.schemas.topics import EVENTS, KPIS, LOGS, MODELS, RUNS, STATISTICS, STRUCTURED_STATISTICS
from parallelm.warehouse.queries import (
    events,
    kpis,
    log_lines,
    models,
    run_rows,
    statistics,
    structured_statistics,
)
from tests.people import person
from tests.server.conftest import behind
from tests.sinks import samples
from tests.stream_processors.live import Cluster
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from parallelm.connections import Settings
    from parallelm.schemas.topics import Topic

MARK: Final = "<i class=pwned>"
NASTY: Final = f"{MARK}\"'&lt;{{{{7*7}}}}%2F../?#;=[]"
DEEP: Final = b"[" * 50_000
LINKS: Final = re.compile(r'(?:href|hx-get|src|data-chart-url)="([^"]+)"')


def report(platform: Settings, mlapp_id: str) -> None:
    """A component of somebody who means harm, or who does not know better."""
    now_ms, model_id = time.time_ns() // 1_000_000, uuid.uuid4().hex
    said = f"name: {json.dumps(NASTY)}\ndescription: {json.dumps(NASTY)}"
    text = f"mlapp: {mlapp_id}\n{said}\nnodes: [{{id: predict, type: model_consumer}}]\n"
    apply_definition(platform, validate_definition(text.encode(), "nasty.yaml"), who=person("ada"))
    cluster = Cluster(platform, mlapp_id)
    texts = {"labels": {NASTY: NASTY}, "title": NASTY, "description": NASTY}
    series = replace(samples.series([now_ms], [1.0], NASTY, {NASTY: NASTY}), model_id=model_id)
    run = {
        "run_id": "r-nasty",
        "node_id": NASTY,
        "agent_id": NASTY,
        "reason": NASTY,
        "due_at_ms": now_ms,
        "model_id": model_id,
    }
    point = KpiPoint(name=NASTY, labels={NASTY: NASTY}, timestamp_ms=now_ms, value=1.0, model_id="")
    started = samples.run_transition("running", mlapp_id=mlapp_id, **run)
    cluster.send_bytes(RUNS, RUNS.key(started), cluster.codec.encode(replace(started, event_time_ms=now_ms)))
    for topic, record, of_now in (
        (STATISTICS, samples.batch(series), {}),
        (STRUCTURED_STATISTICS, samples.structured(name=NASTY), {"event_time_ms": now_ms}),
        (STRUCTURED_STATISTICS, samples.structured(name="deep", graph_type="OPAQUE", histograms=[], data=DEEP), {"event_time_ms": now_ms}),
        (EVENTS, samples.event(event_id=uuid.uuid4().hex, is_alert=False, **texts), {"event_time_ms": now_ms}),
        (
            MODELS,
            samples.model(
                model_id, name=NASTY, format=NASTY, description=NASTY, owner=NASTY, file_name=NASTY,
                annotations={NASTY: DEEP.decode()},
            ),
            {"event_time_ms": now_ms},
        ),
        (KPIS, replace(samples.kpis(), points=[point], source=NASTY), {}),
        (LOGS, samples.log_lines(NASTY, f"\x1b]8;;javascript:alert(1)\x07{NASTY}\x1b[31m", run_id="r-nasty"), {}),
    ):  # fmt: skip
        origin = replace(cluster.origin(), node_id=NASTY, pipeline_instance_id=NASTY, agent_id=NASTY)
        sender = {"producer_id": uuid.uuid4().hex} if hasattr(record, "producer_id") else {}
        sender |= {"model_id": model_id} if hasattr(record, "model_id") else {}
        made: Any = replace(record, origin=origin, **sender, **of_now)
        cluster.send_bytes(topic, topic.key(made), cluster.codec.encode(made))
    cluster.flush()
    cluster.close()


@pytest.mark.long
def test_reported_texts_are_shown_as_texts_wherever_they_stand(
    client: httpx.Client, platform: Settings
) -> None:
    mlapp_id = f"nasty-{uuid.uuid4().hex[:6]}"
    report(platform, mlapp_id)
    for found in (statistics, structured_statistics, events, models, kpis):
        wait_for(lambda found=found: len(found(platform, mlapp_id=mlapp_id)), lambda: behind(platform))
    wait_for(lambda: len(log_lines(platform, mlapp_id=mlapp_id, run_id="r-nasty")))
    wait_for(lambda: run_rows(platform, mlapp_id=mlapp_id))
    seen = followed(client, f"/mlapps/{mlapp_id}", f"/mlapps/{mlapp_id}", f"/charts/{mlapp_id}")
    assert not [path for path, text in seen.items() if MARK in text]
    assert sum("pwned" in text for text in seen.values()) >= 6
    assert any("/models/" in path for path in seen)


def followed(client: httpx.Client, start: str, *below: str) -> dict[str, str]:
    """Pages by their paths: the first one, and what links lead to ``below`` some addresses. Each link leads somewhere."""
    wanted, seen = [(start, "")], dict[str, str]()
    while wanted:
        address, linked = wanted.pop()
        page = client.get(address, headers={"Accept": "text/html"}, follow_redirects=True)
        # A part that a form asks for is not complete without its fields; one that is asked for again may have nothing new.
        assert page.status_code in {200, 204, 422}, (address, linked, page.text)
        path = urlsplit(address).path
        seen[path] = ""
        if "html" not in page.headers.get("Content-Type", ""):
            continue
        seen[path] = page.text
        for link in map(unescape, LINKS.findall(page.text)):
            target = urljoin(address, link)
            path = urlsplit(target).path
            if path.startswith(below) and not path.endswith("/download") and path not in seen:
                seen[path] = ""
                wanted.append((target, address))
    return seen


def records_of(cluster: Cluster, what: str) -> tuple[Topic, Any]:
    """The only record about an MLApp that nobody has defined."""
    now_ms = time.time_ns() // 1_000_000
    if what == "run":
        run = {"run_id": f"r-{now_ms}", "agent_id": f"gone-{now_ms}", "due_at_ms": now_ms, "model_id": ""}
        started = samples.run_transition("running", mlapp_id=cluster.mlapp, **run)
        return RUNS, replace(started, event_time_ms=now_ms)
    if what == "model":
        model = samples.model(uuid.uuid4().hex, origin=cluster.origin())
        return MODELS, replace(model, producer_id=uuid.uuid4().hex, event_time_ms=now_ms)
    batch = samples.batch(samples.series([now_ms], [1.0], "latency"))
    return STATISTICS, replace(batch, origin=cluster.origin(), producer_id=uuid.uuid4().hex)


@pytest.mark.parametrize("what", ["statistic", "run", "model"])
def test_no_page_of_an_mlapp_that_nobody_has_defined_links_to_one_that_is_not_there(
    client: httpx.Client, platform: Settings, what: str
) -> None:
    cluster = Cluster(platform, f"undefined-{uuid.uuid4().hex[:6]}")
    topic, record = records_of(cluster, what)
    cluster.send_bytes(topic, topic.key(record), cluster.codec.encode(record))
    cluster.flush()
    cluster.close()
    home = f"/mlapps/{cluster.mlapp}"
    wait_for(lambda: client.get(home).status_code == 200, lambda: behind(platform))
    seen = followed(client, home, home, "/hosts/gone-")
    assert {f"{home}/runs", f"{home}/statistics", f"{home}/timeline", f"{home}/alerts/rules"} <= seen.keys()
