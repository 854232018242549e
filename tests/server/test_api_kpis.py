"""KPIs over REST: looked at before they are sent, corrected, withdrawn, and compared with what was reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

APP = "/api/v1/mlapps/kpi-app"
CSV = {"Content-Type": "text/csv"}


def upload(client: httpx.Client, content: str | bytes, **query: Any) -> httpx.Response:
    return client.post(f"{APP}/kpi-uploads", params=query, content=content, headers=CSV)


def points(client: httpx.Client, **query: Any) -> list[tuple[str, float]]:
    found = client.get(f"{APP}/kpi-points", params={"name": "sales", **query}).json()["items"]
    return [(each["event_time"][:10], each["value"]) for each in found]


def test_a_file_is_looked_at_sent_corrected_and_withdrawn(client: httpx.Client):
    file = "day;sales;shop\n2026-06-01;1000,5;north\n2026-06-02;1001,5;north\n"
    said = {"kpi": "sales", "column": ["timestamp=day", "value=sales"]}
    looked = upload(client, file, dry_run=True, **said).json()
    assert (looked["columns"], looked["sent"], looked["dry_run"]) == (["day", "sales", "shop"], 2, True)
    assert looked["kpis"][0] == {
        "name": "sales", "points": 2, "first_time": "2026-06-01T00:00:00.000Z", "last_time": "2026-06-02T00:00:00.000Z",
    }  # fmt: skip
    assert points(client) == []

    assert upload(client, file, **said).json()["sent"] == 2
    wait_for(
        lambda: points(client) == [("2026-06-01", 1000.5), ("2026-06-02", 1001.5)], "the points do not arrive"
    )
    [kpi] = client.get(f"{APP}/kpis").json()["items"]
    assert (kpi["name"], kpi["points"], kpi["label_names"]) == ("sales", 2, ["shop"])
    known_at = kpi["revised_at"]
    again = upload(client, file.replace("1001,5", "999"), **said).json()
    assert (again["sent"], again["revised"], again["unchanged"]) == (1, 1, 1)
    wait_for(lambda: points(client)[1][1] == 999, "the correction does not arrive")
    assert points(client, known_at=known_at)[1] == ("2026-06-02", 1001.5)

    path = f"{APP}/kpi-withdrawals"
    wrong = {"name": "sales", "from": "2026-06-02", "comment": "counted twice"}
    assert client.post(path, json=wrong | {"without_labels": ["shop"]}).status_code == 404
    assert client.post(path, json=wrong | {"expected": 5}).status_code == 409
    assert client.post(path, json=wrong | {"expected": 1}).json()["points"] == 1
    wait_for(lambda: points(client) == [("2026-06-01", 1000.5)], "the withdrawal does not arrive")
    revisions = client.get(f"{APP}/kpi-revisions", params={"name": "sales", "limit": 1}).json()
    assert revisions["items"][0]["value"] == 1000.5
    rest = client.get(
        f"{APP}/kpi-revisions", params={"name": "sales", "cursor": revisions["next_cursor"], "limit": 1}
    )
    assert rest.status_code == 200
    told = client.get(f"{APP}/kpi-revisions", params={"name": "sales", "from": "2026-06-02"}).json()["items"]
    assert [each["withdrawn"] for each in told] == [False, False, True]
    assert "ada" in told[-1]["source"]
    nothing = client.post(path, json={"name": "sales", "from": "2030-01-01", "comment": "x"})
    assert (nothing.status_code, nothing.json()["type"]) == (404, "urn:mcenter:problem:unknown-kpi-point")


def test_bad_lines_are_refused_with_their_places_before_anything_is_sent(client: httpx.Client):
    file = "kpi,timestamp,value\nbad,2026-06-01,1\nbad,soon,2\nbad,2026-06-03,many\n"
    refused = upload(client, file)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:mcenter:problem:bad-lines")
    assert [each["line"] for each in refused.json()["errors"]] == [3, 4]
    looked = upload(client, file, dry_run=True).json()
    assert (looked["bad_lines"], [each["line"] for each in looked["mistakes"]]) == (2, [3, 4])
    assert upload(client, file, skip_bad=True).json()["sent"] == 1
    for content in ("", "a,b\n1,2\n", b"\xff\xfe\x00", b"PAR1nonsense"):
        answer = upload(client, content)
        assert answer.status_code == 422, content
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_kpi_is_compared_with_statistics_deployments_and_time(client: httpx.Client):
    path = "/api/v1/mlapps/churn/kpis/revenue"
    found = client.get(f"{path}/correlations", params={"max_lag": 2}).json()
    assert {"latency"} <= {each["statistic"] for each in found["correlations"]}
    deployment = client.get("/api/v1/deployments", params={"mlapp_id": "churn", "node_id": "predict"}).json()[
        "items"
    ][0]
    impact = client.get(
        f"{path}/impact", params={"deployment_id": deployment["deployment_id"], "before": 20, "after": 20}
    )
    assert impact.status_code == 200, impact.text
    assert impact.json()["sentences"]
    foreign = client.get(f"{path}/impact", params={"alert_id": "none"})
    assert foreign.json()["type"] == "urn:mcenter:problem:unknown-alert"
    timeline = client.get(f"{path}/timeline", params={"statistic": "latency"}).json()
    assert (len(timeline["points"]), len(timeline["models"])) == (60, 2)
    assert timeline["alerts"]
    wrong = client.get(f"{path}/timeline", params={"bucket": "1 fortnight"})
    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:mcenter:problem:query")


def test_outcomes_are_looked_at_and_sent(client: httpx.Client):
    file = "id,timestamp,value\na,2026-06-01,1\nb,2026-06-01,0\nb,2026-06-02,1\n"

    def send(content: str, **query: Any) -> httpx.Response:
        return client.post(f"{APP}/actuals-uploads", params=query, content=content, headers=CSV)

    looked = send(file, dry_run=True).json()
    assert (looked["outcomes"], looked["sent"], looked["unpredicted"]) == (2, 2, 2)
    assert send(file).json()["sent"] == 2
    wait_for(lambda: send(file, dry_run=True).json()["unchanged"] == 2, "they do not arrive")
    assert send(file.replace("02,1", "02,0"), dry_run=True).json()["revised"] == 1
    assert send("id,timestamp,value\na,2026-06-01,yes\n").json()["type"] == "urn:mcenter:problem:bad-lines"
    assert send("id,timestamp,value\na,2026-06-01,yes\n", classes=True, dry_run=True).json()["sent"] == 1
    assert send(file, positive="no").json()["type"] == "urn:mcenter:problem:unknown-class"
    quality = client.get("/api/v1/mlapps/churn/model-quality", params={"by": "all"})
    assert quality.json() == {"rows": []}


def test_a_file_with_points_may_be_large_and_nothing_else(client: httpx.Client):
    def pieces() -> Iterator[bytes]:
        yield b"kpi,timestamp,value\n"
        for _ in range(40):
            yield b"large,2026-06-01,1\n" * 5_000

    large = client.post(f"{APP}/kpi-uploads", params={"dry_run": True}, content=pieces(), headers=CSV)
    assert (large.status_code, large.json()["repeated"]) == (200, 199_999)
    assert (
        client.post(
            f"{APP}/decisions", content=pieces(), headers={"Content-Type": "application/json"}
        ).status_code
        == 413
    )
