"""``mcenter rules``: what rules say they do, and history through the same cores as the processors'."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from parallelm.operations.definitions import validate_definition
from parallelm.operations.rule_trials import try_rules
from parallelm.schemas.records import KpiBatch, KpiPoint
from parallelm.schemas.topics import ALERTS, KPIS
from tests.stream_processors.live import DAY, START
from tests.waiting import wait_for

from .reports import MINUTE, report

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.schemas.records import AlertTransition

    from .conftest import Decisions

DEFINITION = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
alerts:
  - {name: at once, type: threshold, statistic: share, above: 0.8, severity: critical}
  - {name: held, type: threshold, statistic: share, above: 0.5, for: 5m, keep_firing_for: 2m, reason: "{{ value:.2f}}"}
  - {name: late ones, type: threshold, statistic: share, below: 0.3, grace: 1s, match: {region: eu}}
  - {name: any, type: threshold, statistic_pattern: "share|rate", above: 0.9, for: 1m, max_gap: 30m}
  - {name: together, type: threshold, statistic: share, above: 0.55, aggregate: avg, window: 10s, by: [region], grace: 5m, match: {tier: paid}}
  - {name: drift, type: health, threshold: 0.4, for: 10m}
"""


END = 240
"""Minute of the last report."""


def history(decisions: Decisions) -> int:
    """Three hours of three agents, some of it late, repeated, missing or no number; how many samples there are."""
    chance = random.Random(7)
    samples = 0
    for minute in range(180):
        for agent in ("a", "b", "c"):
            if chance.random() < 0.05:
                continue
            level = 0.75 if (minute // 30) % 2 else 0.35
            values = [chance.gauss(level, 0.2) for _ in range(chance.choice((1, 1, 3)))]
            if chance.random() < 0.05:
                values[0] = float("nan")
            late = chance.choice((0, 0, 0, -2))
            score = 0.2 if 60 <= minute < 100 else 0.8
            report(
                decisions,
                agent,
                minute + late,
                [
                    ("share", {"region": "eu"}, values),
                    ("share", {"region": "us"}, [value / 2 for value in values]),
                    ("rate", {}, values),
                    ("share", {"region": "eu", "tier": "paid" if agent == "a" else "free"}, values),
                    ("continuousDataHistogram.overlapResult", {"line": "overlapScore_temp"}, [score]),
                ],
            )
            samples += 4 * len(values) + 1
    decisions.cluster.flush()
    return samples


def settled(decisions: Decisions, samples: int) -> None:
    """Wait until processors and sink have handled everything."""
    count = f"SELECT count() FROM statistics WHERE mlapp_id = '{decisions.cluster.mlapp}'"
    decisions.platform.wait(count, samples)
    # Its second series ends the windows of before, which would wait five minutes for more.
    paid = {"region": "eu", "tier": "paid"}
    report(decisions, "a", END, [("share", {}, [1.0]), ("share", paid, [0.4])])
    decisions.cluster.flush()
    decisions.platform.wait(count, samples + 2)
    partitions = decisions.cluster.settings.kafka.topic_prefix

    def lag() -> int:
        from parallelm.operations.lag import group_lags

        return sum(
            each.records for each in group_lags(decisions.cluster.settings) if "processors" in each.group
        )

    wait_for(lambda: lag() == 0, f"the processors of {partitions} have handled everything")


def test_a_trial_says_what_the_processors_decided(decisions: Decisions) -> None:
    decisions.cluster.apply(DEFINITION)
    settled(decisions, history(decisions))
    definition = validate_definition(
        DEFINITION.replace("mlapp: app", f"mlapp: {decisions.cluster.mlapp}").encode(), "f"
    )
    trial = try_rules(decisions.cluster.settings, definition, end="2013-01-02", with_transitions=True)

    def exact(found: list[AlertTransition]) -> dict[str, tuple[object, ...]]:
        return {
            each.transition_id: (
                each.rule, each.state, each.alert_id, each.value, each.threshold, each.reason, each.labels,
                each.annotations, each.cause,
            )
            for each in found
            if each.rule != "together"
        }  # fmt: skip

    def windows(found: list[AlertTransition]) -> list[tuple[object, ...]]:
        return sorted(
            (each.alert_id, each.state, each.event_time_ms, round(each.value, 9))
            for each in found
            if each.rule == "together" and each.event_time_ms < START + END * MINUTE
        )

    assert {each.rule for each in trial.transitions} == {each.name for each in definition.rules}
    wait_for(
        lambda: exact(list(decisions.cluster.read(ALERTS))) == exact(trial.transitions),
        lambda: f"{exact(list(decisions.cluster.read(ALERTS)))}, not {exact(trial.transitions)}",
    )
    wait_for(
        lambda: windows(decisions.cluster.read(ALERTS)) == windows(trial.transitions),
        lambda: f"windows: {windows(decisions.cluster.read(ALERTS))}, not {windows(trial.transitions)}",
    )
    live = list(decisions.cluster.read(ALERTS))
    assert [each.rule for each in trial.outcomes] == [each.name for each in definition.rules]
    for outcome in trial.outcomes:
        # Nothing fires in the window that is left.
        fired = [each for each in live if (each.rule, each.state) == (outcome.rule, "firing")]
        assert outcome.fired == len(fired)


SMALL = """\
mlapp: app
nodes:
  - {id: predict, type: model_consumer}
alerts:
  - {name: late, type: threshold, statistic: share, above: 0.5, for: 2d, severity: critical}
  - {name: never, type: threshold, statistic: share, above: 5}
"""


def written(decisions: Decisions, folder: Path, text: str = SMALL) -> Path:
    file = folder / "mlapp.yaml"
    file.write_text(text.replace("mlapp: app", f"mlapp: {decisions.cluster.mlapp}"))
    return file


def test_a_threshold_is_tuned_on_history_before_it_is_applied(decisions: Decisions, tmp_path: Path) -> None:
    file = written(decisions, tmp_path)
    assert "reported nothing in this range" in decisions.run("rules", "test", file).output
    for day, value in ((1, 0.4), (2, 0.7), (3, 0.8), (4, 0.9), (5, 0.3), (6, 0.7), (7, 0.2), (8, 0.6)):
        decisions.cluster.statistic(day, "share", value)
        decisions.cluster.statistic(day, "other", value)
    decisions.cluster.flush()
    count = f"SELECT count() FROM statistics WHERE mlapp_id = '{decisions.cluster.mlapp}'"
    decisions.platform.wait(count, 16)

    found = json.loads(decisions.run("rules", "test", file, "--to", "2013-01-10", "--json").output)
    late, never = found["rules"]
    assert (late["judged"], late["fired"], late["did_not_fire"], late["firing_at_the_end"]) == (8, 1, 2, 0)
    assert late["firing_share"] == pytest.approx(1 / 7)
    assert (never["judged"], never["fired"], never["firing_share"]) == (8, 0, 0)
    first = found["episodes"][0]
    assert [first[key] for key in ("started_at", "fired_at", "ended_at", "samples", "value")] == [
        "2013-01-03 00:00:00", "2013-01-05 00:00:00", "2013-01-06 00:00:00", 4, 0.9,
    ]  # fmt: skip
    assert first["fired_reason"] == "share is 0.9, above 0.5 for 2d"
    assert [each["state"] for each in found["episodes"]] == ["resolved", "inactive", "pending"]

    lower = written(decisions, tmp_path, SMALL.replace("above: 0.5, for: 2d", "above: 0.35"))
    tuned = decisions.run(
        "rules", "test", lower, "--rule", "late", "--to", "2013-01-10", "--limit", "1"
    ).output
    assert "and 2 more; --limit shows them\n" in tuned
    assert "reports from 2013-01-02 00:00:00 to 2013-01-09 00:00:00 UTC\n" in tuned
    assert "never" not in tuned

    ranged = json.loads(
        decisions.run(
            "rules", "test", file, "--from", "2013-01-06", "--to", "2013-01-08", "--rule", "late", "--json"
        ).output
    )
    assert ranged["rules"][0]["judged"] == 2
    still = json.loads(decisions.run("rules", "test", file, "--rule", "late", "--json").output)
    assert still["episodes"][-1]["state"] == "firing", (
        "the last report came a moment ago: the series has not stopped"
    )


def test_reports_of_another_mlapp_and_what_cannot_be_tested(decisions: Decisions, tmp_path: Path) -> None:
    file = written(decisions, tmp_path)
    decisions.cluster.statistic(1, "share", 9.0, mlapp=f"{decisions.cluster.mlapp}-b")
    decisions.cluster.flush()
    count = f"SELECT count() FROM statistics WHERE mlapp_id = '{decisions.cluster.mlapp}-b'"
    decisions.platform.wait(count, 1)
    other = decisions.run("rules", "test", file, "--mlapp", f"{decisions.cluster.mlapp}-b", "--json")
    assert [each["rule"] for each in json.loads(other.output)["episodes"]] == ["late", "never"]
    for arguments, code, message in (
        (["--rule", "lat"], 1, "has no rule 'lat'; there are: late, never"),
        (
            ["--from", "2013-02-01", "--to", "2013-01-01"],
            1,
            "the start 2013-02-01 is after the end 2013-01-01",
        ),
        (["--from", "yesterday"], 2, "Invalid value for '--from'"),
        (["--limit", "-1"], 2, "Invalid value for '--limit'"),
    ):
        found = decisions.run("rules", "test", file, *arguments)
        assert (found.exit_code, message in found.output) == (code, True), found.output
    bad = written(decisions, tmp_path, SMALL.replace("above: 5", "abov: 5"))
    for command in ("test", "validate"):
        found = decisions.run("rules", command, bad)
        assert found.exit_code == 1
        assert "is not a valid MLApp file" in found.output
    assert decisions.run("rules", "test", tmp_path / "none.yaml").exit_code == 2


def test_validate_says_what_each_rule_does(decisions: Decisions, tmp_path: Path) -> None:
    text = SMALL + (
        "  - {name: slow, type: threshold, statistic_pattern: 'latency.*', node: predict, above: 800, aggregate: quantile,\n"
        "     quantile: 0.99, window: 5m, by: [region], grace: 30s, for: 15m, stale_after: 2h, no_data: alerting}\n"
    )
    found = decisions.run("rules", "validate", written(decisions, tmp_path, text))
    assert found.exit_code == 0
    held = (
        "  fires           when the condition has held for 2d; a gap longer than 1d and five times the series' "
        "usual distance interrupts it"
    )
    for line in (
        "late (threshold, critical)",
        "  watches         statistic 'share' of every node, each series by itself",
        "  condition       above 0.5",
        held,
        "  silence         a series without reports for 1d, or five times its usual distance if that is longer, ends the alert",
        "  watches         statistics whose names match 'latency.*' of node 'predict'",
        "  together        0.99 quantile over windows of 5m, apart by region",
        "  silence         a series without reports for 2h fires",
        "  late reports    are judged in their place if they come within 30s",
    ):
        assert line in found.output.splitlines()


MLAPP_RULES = """\
mlapp: app
nodes:
  - {id: predict, type: model_consumer}
alerts:
  - {name: restarts, type: event, event: Restart, above: 3, window: 1h}
  - {name: few sales, type: kpi, kpi: sales, below: 10}
"""


def test_events_and_kpis_with_revisions_are_judged_as_by_the_processors(decisions: Decisions) -> None:
    cluster = decisions.cluster
    cluster.apply(MLAPP_RULES)
    for minute in (1, 2, 3, 4, 5, 200, 400, 401, 402, 403, 404, 700):
        cluster.event(minute / 1440, "Restart")
    for values in ({1: 20.0, 2: 5.0, 3: 30.0, 4: 4.0}, {2: 15.0}, {3: 8.0, 5: 40.0}):
        origin = cluster.origin()
        points = [
            KpiPoint(name="sales", labels={}, timestamp_ms=START + day * DAY, value=value, model_id="")
            for day, value in values.items()
        ]
        batch = KpiBatch(origin=origin, producer_id="p", seq=0, source="file", points=points)
        cluster.send_bytes(KPIS, cluster.mlapp.encode(), cluster.codec.encode(batch))
        cluster.flush()
    for table, count in (("events", 12), ("kpis", 7)):
        decisions.platform.wait(f"SELECT count() FROM {table} WHERE mlapp_id = '{cluster.mlapp}'", count)
    definition = validate_definition(
        MLAPP_RULES.replace("mlapp: app", f"mlapp: {cluster.mlapp}").encode(), "f"
    )
    trial = try_rules(cluster.settings, definition, end="2013-02-01", with_transitions=True)

    def said(found: list[AlertTransition]) -> dict[str, tuple[object, ...]]:
        return {each.transition_id: (each.rule, each.state, each.reason, each.supersedes) for each in found}

    assert {each.rule for each in trial.transitions} == {"restarts", "few sales"}
    assert any(each.supersedes for each in trial.transitions), "a revision corrects what was said"
    wait_for(
        lambda: said(cluster.read(ALERTS)) == said(trial.transitions),
        lambda: f"{said(cluster.read(ALERTS))}, not {said(trial.transitions)}",
    )
    fired = [row["rule"] for row in decisions.listed("--all") if row["fired_at"] is not None]
    assert {each.rule: each.fired for each in trial.outcomes} == {
        rule: fired.count(rule) for rule in ("restarts", "few sales")
    }
