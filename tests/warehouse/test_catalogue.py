"""The catalogue of tables: complete, and equal to the page in the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import save_settings
from parallelm.warehouse.catalogue import as_markdown, catalogue

if TYPE_CHECKING:
    from parallelm.connections import Settings

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "tables.md"


@pytest.mark.usefixtures("client")
def test_every_table_view_and_column_has_a_comment(settings: Settings) -> None:
    relations = catalogue(settings)
    assert {each.name for each in relations} >= {"statistics", "live_models", "alerts_open", "model_lineage"}
    assert [each.name for each in relations if not each.comment] == []
    without = [
        f"{each.name}.{column.name}"
        for each in relations
        if each.kind != "materialized view"
        and each.name != "kpi_correlation"  # ClickHouse keeps none for its columns
        for column in each.columns
        if not column.comment
    ]
    assert without == []


@pytest.mark.usefixtures("client")
def test_the_page_in_the_documentation_is_what_the_command_writes(settings: Settings, tmp_path: Path) -> None:
    page = as_markdown(catalogue(settings))
    assert page == PAGE.read_text(), "write it anew: mcenter warehouse tables -o docs/tables.md"
    config = tmp_path / "mcenter.toml"
    save_settings(settings, config)
    written = tmp_path / "tables.md"
    command = [sys.executable, "-m", "parallelm.mcenter", "warehouse", "tables", "-o", str(written)]
    subprocess.run(command, check=True, env={"MCENTER_CONFIG": str(config)}, cwd=tmp_path)
    assert written.read_text() == page


@pytest.mark.usefixtures("client")
def test_a_view_that_takes_a_moment_is_described_with_it(settings: Settings) -> None:
    [live] = [each for each in catalogue(settings) if each.name == "live_models"]
    assert live.parameters == (("at", "DateTime64(3, 'UTC')"),)
    assert "live_models(at = …)" in as_markdown([live])
    columns = {column.name: column.comment for column in live.columns}
    assert columns["live_from"].startswith("Event time from which the model was live")


@pytest.mark.usefixtures("client")
def test_the_common_columns_are_where_the_documentation_says(settings: Settings) -> None:
    page = (DOCS / "query-and-analyse.md").read_text()
    read = {
        each.name: {column.name for column in each.columns}
        for each in catalogue(settings)
        if not each.is_internal
    }
    for column in ("mlapp_id", "event_time"):
        [row] = re.findall(rf"^\| `{column}` \|.*\| (.+) \|$", page, re.MULTILINE)
        said = set(re.findall(r"`(\w+)`", row)) & set(read)
        assert said == {name for name, columns in read.items() if column not in columns}
    [listed] = re.findall(r"^identify it\. These are (.+?)\. The other views", page, re.MULTILINE | re.DOTALL)
    lineage = {"_topic", "_partition", "_offset"}
    of_one_record = {name for name, columns in read.items() if columns >= lineage}
    assert set(re.findall(r"`(\w+)`", listed)) == of_one_record
    more = {name for name, columns in read.items() if "ingested_at" in columns} - of_one_record
    assert more == {"agents_current", "mlapps_current"}
