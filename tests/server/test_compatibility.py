"""Programs that speak as the original's clients did: with its paths, its percent-encoded bodies and its token."""

from __future__ import annotations

import base64
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from copy import copy
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.server.access.matrix import DATA_SCIENTIST, VIEWER
from tests.people import person
from tests.server.accounts import ACCOUNT_OF, PASSWORD, make_account
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from parallelm.connections import Settings
    from parallelm.server.accounts.database import Database

APP = "old-app"
DEFINITION = f"""\
mlapp: {APP}
nodes:
  - {{id: train, type: model_producer}}
  - {{id: serve, type: model_consumer, parents: [train], consumes: [train]}}
policy: {{model_policy: manual, health_threshold: 0.3}}
alerts:
  - {{name: too slow, type: threshold, statistic: latency, above: 2, severity: critical}}
"""


class OldClient:
    """Sends what the original's library sent."""

    def __init__(self, url: str, user: str, password: str, *, prefix: str = "", bearer: bool = False) -> None:
        self.prefix = prefix
        self.http = httpx.Client(base_url=url)
        said = self.http.post(f"{prefix}/auth/login", json={"username": user, "password": password})
        said.raise_for_status()
        self.token = said.json()["token"]
        if bearer:
            self.http.headers["Authorization"] = f"Bearer {self.token}"
        else:
            self.http.cookies.set("token", self.token)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(f"{self.prefix}{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    def stat(self, pipeline: str, name: str, data: Any, graph: str, **more: Any) -> httpx.Response:
        value = {
            "name": name,
            "data": json.dumps(data),
            "graphType": graph,
            "mode": "TIME_SERIES",
            "modelId": None,
        }
        value |= {"timestamp": time.time_ns(), "type": "ACCUMULATOR", **more}
        body = quote(json.dumps({"name": name, "value": json.dumps(value)}))
        return self.http.post(f"/stats/{pipeline}", params={"statType": "accumulator"}, content=body)

    def event(self, pipeline: str, kind: str, label: str, data: bytes, *, is_alert: bool) -> httpx.Response:
        said = {
            "eventType": kind,
            "eventLabel": label,
            "data": base64.b64encode(data).decode(),
            "isAlert": is_alert,
        }
        return self.http.post(f"/events/{pipeline}", content=quote(json.dumps(said)))


@pytest.fixture(scope="module")
def url(platform: Settings, server_url: str) -> str:
    apply_definition(platform, validate_definition(DEFINITION.encode(), "old.yaml"), who=person("ada"))
    return server_url


@pytest.fixture(scope="module")
def log_in(url: str) -> Iterator[Callable[..., OldClient]]:
    """Clients by user; they are closed in the end."""
    with ExitStack() as opened:

        def make(user: str, **options: Any) -> OldClient:
            client = OldClient(url, user, PASSWORD, **options)
            opened.callback(client.http.close)
            return client

        yield make


@pytest.fixture(scope="module")
def old(log_in: Callable[..., OldClient]) -> OldClient:
    client = log_in(ACCOUNT_OF[DATA_SCIENTIST])
    wait_for(
        lambda: client.http.get(f"/workflows/instances/{APP}").status_code == 200, "the MLApp is not known"
    )
    return client


def test_an_mlapp_is_told_as_the_original_told_it(old: OldClient, log_in: Callable[..., OldClient]):
    instance = old.get(f"/workflows/instances/{APP}")
    assert (instance["id"], instance["globalThreshold"], instance["operationMode"]) == (
        APP,
        0.3,
        "PRODUCTION",
    )
    assert instance["workflow"]["modelPolicy"] == "MANUAL"
    nodes = {each["id"]: each for each in instance["workflow"]["workflow"]}
    assert (nodes["train"]["parent"], nodes["train"]["children"]) == ("-1", "serve")
    assert nodes["serve"]["pipelineType"] == "model_consumer"
    pipelines = {each["workflowNodeId"]: each["pipelineInstanceId"] for each in instance["pipelineInstances"]}
    assert instance["pipelineInstanceIdToWfNodeId"][pipelines["serve"]] == "serve"
    with_prefix = log_in(ACCOUNT_OF[DATA_SCIENTIST], prefix="/mlops", bearer=True)
    assert with_prefix.get(f"/workflows/instances/{APP}") == instance
    assert old.get("/health/thresholds", ionInstanceId=APP, thresholdType="all")["globalThreshold"] == 0.3
    assert {"host-1"} <= {each["id"] for each in old.get("/agents")}
    assert old.get("/executionEnvironments")[0]["agentId"] in old.get("/groups")[0]["agentIds"]
    assert len(old.get("/uuid", type="model")["id"]) == 32


def test_reported_numbers_arrive_and_drive_a_rule(old: OldClient, client: httpx.Client):
    pipeline = f"{APP}.serve"
    for value in (1.0, 1.5, 3.0):
        assert old.stat(pipeline, "latency", {"latency": value}, "LINEGRAPH").status_code == 200
    assert old.stat(pipeline, "shares", {"a": 1, "b": 2.5}, "MULTILINEGRAPH").status_code == 200
    assert old.stat(pipeline, "tab", {"r1": {"a": 1}}, "MATRIX", mode="INSTANT").status_code == 200
    assert old.stat(pipeline, "sales", {"sales": 10}, "LINEGRAPH", type="KPI").status_code == 200

    def latencies() -> list[Any]:
        found = old.get(
            "/stats", statName="latency", mlAppId=APP, workflowNodeId="serve", start=0, end=10**13
        )
        return [each["value"] for each in found]

    wait_for(lambda: latencies() == [1.0, 1.5, 3.0], lambda: str(latencies()))
    alerts = "/api/v1/alerts"
    wait_for(lambda: client.get(alerts, params={"rule": "too slow"}).json()["items"], "no alert")
    [alert] = client.get(alerts, params={"rule": "too slow"}).json()["items"]
    assert (alert["mlapp_id"], alert["node_id"], alert["value"], alert["state"]) == (
        APP,
        "serve",
        3.0,
        "firing",
    )
    wait_for(lambda: old.get("/stats", statName="tab", mlAppId=APP), "no table")
    assert old.get("/stats", statName="tab", mlAppId=APP)[0]["data"] == {"r1": {"a": 1}}
    [shares] = old.get("/stats", statName="shares", mlAppId=APP)
    assert (shares["a"], shares["b"], shares["node"]) == (1, 2.5, "serve")
    path = f"/api/v1/mlapps/{APP}/kpi-points"
    wait_for(lambda: client.get(path).json()["items"], "no KPI")
    assert client.get(path).json()["items"][0]["value"] == 10


def test_reported_events_arrive_and_raise_alerts_and_nothing_is_unpickled(
    old: OldClient, client: httpx.Client
):
    pipeline = f"{APP}.train"
    pickled = b"\x80\x03cposix\nsystem\nX\x04\x00\x00\x00exit\x85R."
    assert old.event(pipeline, "53", "unhealthy", b'{"score": 0.1}', is_alert=True).status_code == 200
    assert old.event(pipeline, "GenericEvent", "bytes", pickled, is_alert=False).status_code == 200
    wait_for(lambda: len(old.get("/events", ionInstanceId=APP, startTime=-1, endTime=-1)) == 2, "no events")
    first, second = old.get("/events", ionInstanceId=APP)
    assert (first["eventType"], first["eventLabel"], first["data"]) == (
        "GenericHealthAlert",
        "unhealthy",
        {"score": 0.1},
    )
    assert second["data"] == {"base64": base64.b64encode(pickled).decode()}
    assert [each["eventLabel"] for each in old.get("/events", ionInstanceId=APP, isAlert="true")] == [
        "unhealthy"
    ]
    wait_for(
        lambda: client.get("/api/v1/alerts", params={"rule": "GenericHealthAlert", "mlapp_id": APP}).json()[
            "items"
        ],
        "no alert",
    )


def test_a_model_is_published_listed_reviewed_and_read(old: OldClient, log_in: Callable[..., OldClient]):
    model_id = old.get("/uuid", type="model")["id"]
    query = {"name": "m", "id": model_id, "format": "Json", "description": "d", "annotations": '{"a": 1}'}
    sent = old.http.post(f"/models/{APP}.train", params=query, files={"file": ("m.json", b'{"w": 1}')})
    assert sent.status_code == 200, sent.text
    assert sent.json() == model_id
    wait_for(lambda: [each for each in old.get("/v1/models") if each["id"] == model_id], "no model")
    [model] = old.get("/v1/models", mlAppId=APP)
    assert (model["name"], model["format"], model["annotations"]["a"], model["approvedForIons"]) == (
        "m",
        "Json",
        1,
        [],
    )
    assert old.http.get(f"/v1/models/{model_id}/download").content == b'{"w": 1}'
    review = {"action": "approve", "description": "good", "mlAppInstanceId": APP}
    refused = old.http.post(f"/models/{model_id}/review", json=review)
    assert refused.status_code == 404  # a data scientist reviews nothing
    admin = log_in("ada")
    wait_for(
        lambda: old.get(f"/models/{model_id}/status")["state"] == "awaiting_approval", "it is not offered"
    )
    assert (
        admin.http.post(f"/models/{model_id}/review", json=review).json()["states"][0]["state"] == "requested"
    )
    wait_for(
        lambda: old.get(f"/models/{model_id}/status")["approvedForIons"] == [APP], "its approval is not told"
    )
    assert old.get(f"/models/{model_id}/status")["reviewedBy"] == "ada"
    assert old.get(f"/models/{model_id}/source")["ionNodeId"] == "train"
    assert old.get(f"/models/{model_id}/usage") == []
    last = old.get("/v1/models", mlAppId=APP, pipelineInstanceId=f"{APP}.serve", modelType="lastApproved")
    assert [each["id"] for each in last] == [model_id]
    assert old.get(f"/v1/models/{model_id}/metrics") == []


@pytest.mark.parametrize(
    "body",
    [b"", b"%", b"nonsense", b"%5B%5D", quote('{"name": "x"}').encode(), quote('{"name": "x", "value": "[]"}').encode(),
     quote('{"value": {"data": "1"}}').encode(), quote('{"name": "x", "value": {"data": "abc"}}').encode(),
     quote('{"name": "x", "value": {"data": "1", "timestamp": "soon"}}').encode(),
     quote('{"name": "x", "value": {"data": "1", "timestamp": 99999999999999999999999}}').encode(), b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_report_is_refused_in_words(old: OldClient, body: bytes):
    answer = old.http.post(f"/stats/{APP}.serve", content=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


DEEP = json.loads("[" * 300 + "]" * 300)
ODD: list[Any] = [
    [],
    {"a": [None]},
    10**30,
    -(10**30),
    math.nan,
    math.inf,
    "",
    "\0",
    "\ud800",
    "é",
    True,
    None,
    "9" * 5_000,
    DEEP,
]
FIELDS = (
    "name",
    "value",
    "value.name",
    "value.data",
    "value.timestamp",
    "value.graphType",
    "value.mode",
    "value.modelId",
    "value.type",
)


@pytest.mark.parametrize(
    ("path", "fields"),
    [("stats", FIELDS), ("events", ("eventType", "eventLabel", "data", "isAlert", "timestamp"))],
    ids=["stats", "events"],
)
def test_no_report_whatever_stands_in_it_makes_the_server_fail(
    old: OldClient, path: str, fields: tuple[str, ...]
):
    reports = []
    for field, odd in product(fields, ODD):
        for graph in ("LINEGRAPH", "MATRIX", "KPI") if field == "value.data" else ("LINEGRAPH",):
            value: dict[str, Any] = {"name": "odd", "data": {"a": 1}, "graphType": graph}
            sent: dict[str, Any] = {"name": "odd", "value": value} if path == "stats" else {}
            (value if field.startswith("value.") else sent)[field.removeprefix("value.")] = odd
            reports.append((graph, field, json.dumps(sent)))

    def failed(report: tuple[str, str, str]) -> tuple[object, ...] | None:
        status = old.http.post(f"/{path}/{APP}.train", content=quote(report[2])).status_code
        return None if status in {200, 422} else (status, *report)

    with ThreadPoolExecutor(8) as pool:
        assert [each for each in pool.map(failed, reports) if each] == []


@pytest.mark.parametrize(
    "odd", ["-2", str(10**17), str(10**30), "1e3", "", "NaN", "%00", "%ED%A0%80", "9" * 5_000]
)
def test_no_question_whatever_it_asks_makes_the_server_fail(old: OldClient, odd: str):
    failed = []
    for path, required, names in (
        ("/stats", f"statName=x&mlAppId={APP}", ("statName", "mlAppId", "workflowNodeId", "agentId", "pipelineId", "start", "end")),
        ("/events", f"ionInstanceId={APP}", ("ionInstanceId", "startTime", "endTime", "isAlert")),
        ("/v1/models", "", ("mlAppId", "pipelineInstanceId", "modelType", "modelType=lastApproved&pipelineInstanceId")),
        ("/health/thresholds", "", ("ionInstanceId",)),
        ("/uuid", "", ("type",)),
    ):  # fmt: skip
        for name in names:
            answer = old.http.get(f"{path}?{required}&{name}={odd}")
            if answer.status_code >= 500:
                failed.append((path, name, answer.status_code))
    segment = quote(odd) if "%" not in odd else odd
    for path in ("/workflows/instances/{}", "/models/{}/status", "/models/{}/source", "/models/{}/usage", "/v1/models/{}/download",
                 "/v1/models/{}/metrics", "/timelineCaptures/{}", "/timelineCaptures/{}/download"):  # fmt: skip
        answer = old.http.get(path.format(segment))
        if answer.status_code >= 500:
            failed.append((path, "", answer.status_code))
    assert not failed


def test_statistics_of_a_pipeline_are_those_of_its_node(old: OldClient):
    for node, value in (("train", 1.0), ("serve", 2.0)):
        assert old.stat(f"{APP}.{node}", "of a node", {"a": value}, "LINEGRAPH").status_code == 200

    def values(**query: str) -> list[float]:
        return [each["value"] for each in old.get("/stats", statName="of a node", mlAppId=APP, **query)]

    wait_for(lambda: sorted(values()) == [1.0, 2.0], lambda: str(values()))
    assert values(pipelineId=f"{APP}.serve") == [2.0]
    assert values(pipelineId=f"{APP}.serve", workflowNodeId="train") == []
    asked = {"statName": "of a node", "mlAppId": APP, "pipelineId": "churn.predict"}
    for pipeline in ("churn.predict", "none"):
        assert old.http.get("/stats", params=asked | {"pipelineId": pipeline}).status_code == 404


def test_a_token_with_scopes_reports_what_they_name(url: str, token_of: Callable[..., str], old: OldClient):
    def sent(*scopes: str) -> list[int]:
        headers = {"Authorization": f"Bearer {token_of(DATA_SCIENTIST, list(scopes))}"}
        scoped = copy(old)
        with httpx.Client(base_url=url, headers=headers) as scoped.http:
            answers = [
                scoped.stat(f"{APP}.train", "scoped", 1, "LINEGRAPH"),
                scoped.stat(f"{APP}.train", "scoped", 1, "LINEGRAPH", type="KPI"),
                scoped.http.post(f"/models/{APP}.train", params={"name": "m"}, files={"file": b"1"}),
            ]
        return [each.status_code for each in answers]

    assert sent("reports.write") == [200, 403, 403]
    assert sent("reports.write", "kpis.write", "models.upload") == [200, 200, 200]
    assert sent("kpis.write", "models.upload") == [404, 404, 404]


def test_who_may_not_report_or_read_learns_nothing(
    log_in: Callable[..., OldClient], url: str, server_database: Database
):
    name = make_account(server_database, [(VIEWER, "other")], password=PASSWORD)
    stranger = log_in(name)
    unknown, foreign = (
        stranger.stat("none", "x", 1, "LINEGRAPH"),
        stranger.stat(f"{APP}.serve", "x", 1, "LINEGRAPH"),
    )
    assert (unknown.status_code, foreign.status_code) == (404, 404)
    assert unknown.json()["detail"].replace("none", f"{APP}.serve") == foreign.json()["detail"]
    assert stranger.get("/v1/models") == []
    assert stranger.get("/agents") == []
    assert stranger.get("/timelineCaptures") == []
    assert stranger.http.get("/events", params={"ionInstanceId": APP}).status_code == 403
    with httpx.Client(base_url=url) as nobody:
        assert nobody.post(f"/stats/{APP}.serve", content=b"{}").status_code == 401
        wrong = nobody.post("/auth/login", json={"username": name, "password": "wrong"})
        assert wrong.status_code == 401
        nobody.cookies.set("token", "a.b.c")
        assert nobody.get("/agents").status_code == 401


def test_captures_are_listed_and_downloaded(old: OldClient, client: httpx.Client):
    made = client.post(
        "/api/v1/mlapps/churn/captures", json={"from": "2026-05-01", "to": "2026-05-03"}
    ).json()
    path = f"/timelineCaptures/{made['capture_id']}"
    assert old.http.post(f"{path}/prepare").json()["status"] in {"In Progress", "Complete"}
    shown = f"/api/v1/mlapps/churn/captures/{made['capture_id']}"
    wait_for(lambda: old.get(f"{path}/prepareStatus")["status"] == "Complete", lambda: client.get(shown).text)
    assert made["capture_id"] in {each["id"] for each in old.get("/timelineCaptures")}
    assert len(old.http.get(f"{path}/download").content) > 1000
