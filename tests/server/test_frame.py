"""What surrounds every request: ids, headers, errors as problem details or as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import generate_latest

from parallelm.warehouse.queries import alerts, live_models
from tests.server.seed import KPI, MLAPP

if TYPE_CHECKING:
    import httpx

    from parallelm.connections import Settings


def test_a_page_names_its_request_and_lets_no_other_host_in(client: httpx.Client):
    answer = client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert len(answer.headers["X-Request-ID"]) == 32
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_an_unknown_path_of_the_api_is_problem_details(client: httpx.Client):
    answer = client.get("/api/v1/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


def test_an_unknown_page_is_a_page_in_words(client: httpx.Client):
    answer = client.get("/nothing", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["X-Request-ID"] in answer.text


def test_a_time_that_no_row_can_have_is_refused_in_words(client: httpx.Client):
    for path in (
        "/report?day=0001-01-01",
        "/report?day=9999-12-31",
        f"/api/v1/mlapps/{MLAPP}/kpis/{KPI}/impact?at=0001-01-01",
    ):
        answer = client.get(path)
        assert answer.status_code == 422, path
        assert "2299" in answer.json()["detail"], path


def test_the_contract_is_openapi_3_1(client: httpx.Client):
    contract = client.get("/api/v1/openapi.json").json()
    assert contract["openapi"].startswith("3.1")
    assert "/api/v1/health" in contract["paths"]


def test_the_seeded_mlapp_has_two_models_and_an_alert(platform: Settings):
    found = live_models(platform, mlapp_id=MLAPP)
    assert list(found["node_id"]) == ["predict"]
    raised = alerts(platform, mlapp_id=MLAPP)
    assert {"slow answers", "other customers"} <= set(raised["rule"])


def test_requests_are_counted_by_route_and_not_by_address(client: httpx.Client):
    client.get("/mlapps/nobody-knows-it", headers={"Accept": "text/html"})
    lines = [line for line in generate_latest().decode().splitlines() if "request_seconds_count" in line]
    assert any('route="/mlapps/{mlapp_id}",status="404"' in line for line in lines)
    assert not any("nobody-knows-it" in line for line in lines)


def test_whatever_can_be_got_answers_head(client: httpx.Client):
    for path in ("/", "/static/app.js", "/api/v1/health", f"/api/v1/mlapps/{MLAPP}"):
        head, got = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
    stream = client.head("/live")
    assert (stream.status_code, stream.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    assert client.head("/nothing").status_code == 404
    assert client.get("/").status_code == 200, "the connection is of use still"
