"""KPIs uploaded twice, revised and withdrawn, as a user does it, through the broker and the sink."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.mcenter.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from parallelm.connections import Settings
    from tests.sinks.conftest import Platform


@pytest.fixture
def command(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``mcenter`` with the settings of this test."""
    config = tmp_path / "mcenter.toml"
    save_settings(settings, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))

    def run(*arguments: str, exit_code: int = 0, given: bytes | None = None) -> Result:
        result = CliRunner().invoke(cli, arguments, input=given)
        assert result.exit_code == exit_code, result.output
        return result

    return run


def frame(values: list[float]) -> pd.DataFrame:
    days = pd.date_range("2013-01-01", periods=len(values), tz="Europe/Berlin")
    return pd.DataFrame({"day": days.tz_localize(None), "revenue": values, "shop": "a"})


OPTIONS = (
    "--kpi", "revenue", "--column", "timestamp=day", "--column", "value=revenue", "--timezone", "Europe/Berlin",
)  # fmt: skip


def test_a_point_is_uploaded_once_revised_withdrawn_and_shown_as_it_was_known(
    platform: Platform, command: Callable[..., Result], tmp_path: Path
):
    file = tmp_path / "revenue.parquet"
    frame([1.0, 2.0, 3.0]).to_parquet(file)

    def shown(*arguments: str) -> list[Any]:
        return json.loads(command("kpis", "list", "revenue", "--format", "json", *arguments).stdout)

    with platform.sink():
        assert "uploaded 3 points of 1 KPI" in command("kpis", "upload", str(file), *OPTIONS).output
        platform.wait("SELECT count() FROM kpis", 3)
        again = command("kpis", "upload", str(file), *OPTIONS).output
        assert again == (
            "uploaded 0 points of 0 KPIs to MLApp default; 3 points known with this value and not sent\n"
        )
        text = frame([1.0, 20.0, 3.0, 4.0]).to_csv(index=False).encode()
        revised = command("kpis", "upload", "-", *OPTIONS, given=text).output
        assert "uploaded 2 points" in revised
        assert "; 1 of them revises a known point; 2 points known with this value and not sent" in revised
        platform.wait("SELECT count() FROM kpis", 5)
        before = str(platform.value("SELECT toString(max(ingested_at)) FROM kpis")).replace(" ", "T")
        selected = (
            "revenue",
            "--label",
            "shop=a",
            "--from",
            "2013-01-01T23:00Z",
            "--to",
            "2013-01-02T23:00Z",
        )
        refused = command(
            "kpis", "withdraw", *selected, "--comment", "typing error", exit_code=1, given=b"n\n"
        )
        assert "withdraw 1 point of 'revenue'? [y/N]" in refused.output
        done = command("kpis", "withdraw", *selected, "--who", "ann", "--comment", "typing error", "--yes")
        assert "withdrew 1 point of 'revenue'" in done.output
        platform.wait("SELECT count() FROM kpis", 6)
    assert [each["value"] for each in shown()] == [1.0, 3.0, 4.0]
    assert [each["value"] for each in shown("--known-at", before)] == [1.0, 20.0, 3.0, 4.0]
    assert shown("--known-at", "2013-01-01") == []
    assert [each["value"] for each in shown("--from", "2013-01-02T23:00Z", "--to", "2013-01-03T23:00Z")] == [
        3.0
    ]
    story = [
        (each["value"], each["withdrawn"], each["source"])
        for each in shown("--revisions")
        if each["event_time"].startswith("2013-01-01T23:00")
    ]
    assert story == [
        (2.0, False, "revenue.parquet"),
        (20.0, False, "-"),
        (20.0, True, "withdrawn by ann: typing error"),
    ]
    nothing = command("kpis", "withdraw", *selected, "--comment", "again", "--yes", exit_code=1)
    assert "KPI 'revenue' has no such points" in nothing.output
    with platform.sink():
        assert "uploaded 1 point" in command("kpis", "upload", "-", *OPTIONS, given=text).output
        platform.wait("SELECT count() FROM kpis_current", 4)
        without_shop = b"kpi,timestamp,value\nrevenue,2013-02-01,1\nrevenue,2013-02-01,2\n"
        said = command("kpis", "upload", "-", given=without_shop).output
        assert "uploaded 1 point of 1 KPI to MLApp default; 1 line repeats a point of the file" in said
        assert "'revenue' is known with the labels 'shop', and these points have no labels" in said
        platform.wait("SELECT count() FROM kpis_current", 5)
        assert platform.rows("SELECT value FROM kpis WHERE empty(labels)") == [(2.0,)]
        [listed] = json.loads(command("kpis", "list", "--format", "json").stdout)
        assert (listed["name"], listed["points"], listed["label_names"]) == ("revenue", 5, ["shop"])
        bare = ("revenue", "--without-label", "shop")
        [point] = json.loads(command("kpis", "list", *bare, "--format", "json").stdout)
        assert (point["value"], point["labels"]) == (2.0, {})
        gone = command("kpis", "withdraw", *bare, "--comment", "shop missing", "--yes").output
        assert "withdrew 1 point of 'revenue'" in gone
        platform.wait("SELECT count() FROM kpis_current", 4)
    assert platform.rows("SELECT count() FROM kpis_current WHERE empty(labels)") == [(0,)]


def test_without_the_warehouse_every_point_is_sent(
    platform: Platform, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MCENTER_CLICKHOUSE_DATABASE", "nowhere")
    data = io.BytesIO()
    frame([1.0]).to_parquet(data)
    sent = command("kpis", "upload", "-", *OPTIONS, given=data.getvalue())
    assert "not compared with the warehouse, so known points get a revision: ClickHouse: " in sent.output
    assert "uploaded 1 point" in sent.output
    with platform.sink():
        platform.wait("SELECT count() FROM kpis", 1)
