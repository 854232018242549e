"""From predictions and an uploaded file of outcomes to the quality of a model, over the real broker and database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from parallelm.connections import save_settings
from parallelm.mcenter.cli import cli
from parallelm.schemas import topics
from tests.sinks import samples

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.sinks.conftest import Platform


def test_outcomes_from_a_file_tell_how_good_a_model_was(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mcenter.toml"
    save_settings(platform.settings, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))
    file = tmp_path / "landed.csv"
    file.write_text("flight;landed;late;gate\na;2013-06-01;1;B\nb;2013-06-01;0;\nc;2013-06-02;1;C\n")
    command = ["actuals", "upload", str(file), "--mlapp", "app", "--outcome", "delayed"]
    columns = ["--column", "id=flight", "--column", "timestamp=landed", "--column", "value=late"]
    carriers = {"carrier": ["UA", "UA", "DL", "DL"]}
    with platform.sink():
        predicted = samples.predictions(["a", "b", "c", "d"], scores=[0.9, 0.8, 0.7, 0.6], features=carriers)
        platform.send(topics.PREDICTIONS, predicted)
        platform.wait("SELECT count() FROM predictions", 4)
        result = CliRunner().invoke(cli, [*command, *columns], catch_exceptions=False)
        assert result.output.strip() == "uploaded 3 outcomes of 'delayed' to MLApp app"
        missing = CliRunner().invoke(cli, [*command, *columns[2:]])
        assert missing.exit_code == 1
        assert "3 of 3 outcomes have no id" in missing.output
        platform.wait("SELECT count() FROM actuals", 3)
        again = CliRunner().invoke(cli, [*command, *columns], catch_exceptions=False)
        assert again.output.strip() == (
            "uploaded 0 outcomes of 'delayed' to MLApp app; 3 outcomes known so and not sent"
        )
        file.write_text(
            "flight;landed;late\na;2013-06-01;0\nz;2013-06-01;1\na;2013-06-01;1\nb;2013-06-01;1\n"
        )
        revised = CliRunner().invoke(cli, [*command, *columns], catch_exceptions=False)
        assert revised.output.strip() == (
            "uploaded 2 outcomes of 'delayed' to MLApp app; 1 line repeats an id of the file, of which the last one counts; "
            "1 of them revises a known outcome; 1 outcome known so and not sent; of 1 id there is no prediction yet"
        )
        platform.wait("SELECT actual FROM outcomes WHERE prediction_id = 'b'", "1")
        file.write_text("flight;landed;late\nb;2013-06-01;0\n")
        CliRunner().invoke(cli, [*command, *columns], catch_exceptions=False)
        platform.wait("SELECT actual FROM outcomes WHERE prediction_id = 'b'", "0")
        file.write_text("flight;landed;late\na;2013-06-01;soon\n")
        bad = CliRunner().invoke(cli, [*command, *columns])
        assert bad.exit_code == 1
        assert "line 2, column value" in bad.output
        platform.wait("SELECT count() FROM outcomes WHERE is_known", 3)
    asked = [
        "model",
        "quality",
        "m-1",
        "--mlapp",
        "app",
        "--segment",
        "carrier",
        "--by",
        "all",
        "--format",
        "json",
    ]
    rows = json.loads(CliRunner().invoke(cli, [*asked, "--cost", "1:0", "8"], catch_exceptions=False).output)
    assert [
        (row["segment"], row["predictions"], row["known"], row["accuracy"], row["total_cost"]) for row in rows
    ] == [
        ("DL", 2, 1, 1.0, 0.0),
        ("UA", 2, 2, 0.5, 16.0),
    ]
    assert platform.value(
        "SELECT groupArray(actual) FROM (SELECT * FROM actuals WHERE prediction_id = 'b' ORDER BY _offset)"
    ) == ["0", "1", "0"]
    before = CliRunner().invoke(cli, [*asked, "--known-at", "2020-01-01"], catch_exceptions=False)
    assert json.loads(before.output) == []
    table = CliRunner().invoke(cli, ["models", "quality", "--calibration"], catch_exceptions=False).output
    assert "expected" in table
    assert "observed" in table


def test_outcomes_may_be_names_of_classes(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mcenter.toml"
    save_settings(platform.settings, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))
    scores, classes = tmp_path / "scores.csv", tmp_path / "classes.csv"
    scores.write_text("id,timestamp,value\na,2013-06-01,late\nb,2013-06-01,on time\n")
    classes.write_text(
        "id,timestamp,value\na,2013-06-01,JFK\nb,2013-06-01,EWR\nc,2013-06-01,7.0\nd,2013-06-01,LGA\n"
    )

    def upload(file: Path, outcome: str, *options: str) -> str:
        command = ["actuals", "upload", str(file), "--mlapp", "app", "--outcome", outcome]
        return CliRunner().invoke(cli, [*command, *options]).output

    with platform.sink():
        platform.send(topics.PREDICTIONS, samples.predictions(["a", "b"], scores=[0.9, 0.8]))
        platform.send(
            topics.PREDICTIONS,
            samples.predictions(list("abcd"), classes=["JFK", "LGA", "7", "LGA"], outcome="gate"),
        )
        platform.wait("SELECT count() FROM predictions", 6)
        assert "names of classes need --classes" in upload(scores, "delayed")
        assert "no value 'Late' among its 2 outcomes; there are: late, on time" in upload(
            scores, "delayed", "--positive", "Late"
        )
        assert "uploaded 2" in upload(scores, "delayed", "--positive", "late")
        assert "uploaded 4" in upload(classes, "gate", "--classes")
        platform.wait("SELECT count() FROM outcomes WHERE is_known", 6)
        assert "4 outcomes known so" in upload(classes, "gate", "--classes")
    asked = [
        "model",
        "quality",
        "--mlapp",
        "app",
        "--by",
        "all",
        "--format",
        "json",
        "--cost",
        "LGA:EWR",
        "8",
    ]
    rows = json.loads(CliRunner().invoke(cli, asked, catch_exceptions=False).output)
    assert {
        row["outcome"]: (row["kind"], row["known"], row["accuracy"], row["total_cost"]) for row in rows
    } == {
        "delayed": ("score", 2, 0.5, "NaN"),
        "gate": ("class", 4, 0.75, 16.0),
    }
