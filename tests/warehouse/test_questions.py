"""The questions of docs/questions.md, each on a history in which its answer is known."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections.clickhouse import clickhouse_client
from tests.warehouse.rows import DAY_MS, T0_MS, alert, deployment, insert, kpi, model, run, statistic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
QUESTIONS = dict(
    re.findall(r"^### (.+?)\n.*?^```sql\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
)
HOUR_MS = 3_600_000
APP = {"mlapp_id": "flight-delays"}
MODELS = {"m-1": "January", "m-2": "February", "m-3": "March"}

LATE = datetime.now(UTC)
"""When the blocks came that were late."""


def at(day: float) -> int:
    """Epoch milliseconds of this day of February 2013, counted from 1."""
    return T0_MS + round((31 + day - 1) * DAY_MS)


def when(day: float) -> datetime:
    return datetime.fromtimestamp(at(day) / 1000, UTC)


@pytest.fixture(scope="module")
def history(stack: Settings, made_once: MadeOnce) -> Iterator[Client]:
    """January is live from the 2nd, February from the 8th; March is held. AA is worse than UA."""
    with (
        made_once.lent(stack, topics=False) as settings,
        clickhouse_client(settings.clickhouse) as client,
    ):
        insert_history(client)
        yield client


def insert_history(client: Client) -> None:
    _insert_decisions(client)
    _insert_alerts(client)
    _insert_statistics(client)
    _insert_kpis(client)
    _insert_predictions(client)
    _insert_runs(client)
    _insert_blocks(client)


def _insert_decisions(client: Client) -> None:
    announced = [
        model(
            model_id,
            at(day),
            **APP,
            name=MODELS[model_id],
            agent_id="trainer",
            _topic="mlops.models",
            _offset=day,
        )
        for model_id, day in (("m-1", 1), ("m-2", 7), ("m-3", 13))
    ]
    insert(client, "models_log", announced)
    caused = {"cause_topic": "mlops.models", "cause_partition": 0}
    steps = [
        deployment("m-1", "requested", at(1.5), **caused, cause_offset=1),
        deployment("m-1", "active", at(2)),
        deployment(
            "m-2",
            "requested",
            at(7.5),
            cause_topic="mlops.actions",
            cause_partition=0,
            cause_offset=40,
            who="ada",
        ),
        deployment("m-2", "active", at(8)),
        deployment("m-1", "superseded", at(8)),
        deployment("m-3", "held", at(13), **caused, cause_offset=13, reason="accuracy 0.5 is below 0.7"),
    ]
    insert(
        client,
        "deployment_transitions_log",
        [step | APP | {"attempt": int(step["model_id"][-1])} for step in steps],
    )
    decided = [
        {
            "action_id": "1",
            "who": "ada",
            "action": "approve",
            "comment": "looks good",
            "event_time": at(7.4),
            "_topic": "mlops.actions",
            "_offset": 40,
        },
        {"action_id": "2", "who": "ada", "action": "approve", "comment": "again", "event_time": at(9)},
        {"action_id": "3", "who": "bob", "action": "acknowledge", "comment": "seen", "event_time": at(12)},
    ]
    insert(client, "actions", [APP | each for each in decided])


def _insert_alerts(client: Client) -> None:
    steps = [
        alert("a/1", "firing", at(3), started_at=at(3)),
        alert("a/1", "resolved", at(3.5)),
        alert("a/2", "firing", at(9), started_at=at(9)),
        alert("a/2", "resolved", at(10)),
        alert("b/1", "pending", at(11), rule="low accuracy", started_at=at(11), model_id="m-2"),
        alert("b/1", "firing", at(11.5), rule="low accuracy", started_at=at(11), model_id="m-2"),
        alert("b/1", "acknowledged", at(12), rule="low accuracy", who="bob", model_id="m-2"),
    ]
    insert(client, "alert_transitions_log", [step | APP for step in steps])


def _insert_statistics(client: Client) -> None:
    rows = []
    for day in range(2, 15):
        for carrier, accuracy in (("AA", 0.6), ("UA", 0.8)):
            better = 0.1 if day >= 8 else 0.0
            rows += [
                statistic(name, at(day + 0.5), accuracy + better, labels={"carrier": carrier})
                for name in ("quality.accuracy", "share predicted late")
            ]
    rows.append(statistic("quality.accuracy", at(5.6), float("nan"), labels={"carrier": "AA"}))
    rows += [
        statistic("prediction latency ms", at(10) + minute * 60_000, float(minute)) for minute in range(120)
    ]
    rows.append(statistic("queue length", at(6), 3.0))
    insert(client, "statistics", [row | APP for row in rows])
    histograms = [
        {
            "node_id": node,
            "feature": feature,
            "kind": "continuous",
            "row_count": 100,
            "missing_count": missing,
            "event_time": at(3),
        }
        for node, feature, missing in (
            ("train", "temp", 1),
            ("predict", "temp", 20),
            ("train", "wind", 4),
            ("predict", "wind", 4),
        )
    ]
    insert(client, "histograms", [APP | each for each in histograms])
    letters = [
        {
            "source_topic": "mlops.statistics",
            "stage": "decode",
            "error_type": "DecodeError",
            "error": "byte 3",
            "source_offset": offset,
            "failed_at": time.time_ns() // 1_000_000,
        }
        for offset in range(3)
    ]
    insert(client, "dead_letters_log", letters)


def _insert_kpis(client: Client) -> None:
    long_ago = {"ingested_at": time.time_ns() // 1_000_000 - 2 * HOUR_MS}
    points = [
        kpi(name, at(day), rate, labels={"carrier": carrier}) | long_ago
        for name in ("on-time rate", "carrier on-time rate")
        for day in range(2, 15)
        for carrier, rate in (("AA", 0.5 if day < 8 else 0.7), ("UA", 0.9))
    ]
    points.append(kpi("carrier on-time rate", at(3), 0.4, labels={"carrier": "AA"}))
    insert(client, "kpis", [point | APP for point in points])


def _insert_predictions(client: Client) -> None:
    """Of four scores a day three outcomes are known, of which one is not as predicted."""
    made = {"outcome": "late", "kind": "score", "model_id": "m-1", "sampled_share": 1.0}
    names = [(day, number) for day in (2, 3, 4) for number in range(4)]
    predicted = [
        {"prediction_id": f"{day}/{number}", "event_time": at(day), "value": 0.2 if number else 0.9} | made
        for day, number in names
    ]
    known = [
        {"prediction_id": f"{day}/{number}", "outcome": "late", "actual": "1", "event_time": at(day + 1)}
        for day, number in names
        if number == 0
    ] + [
        {
            "prediction_id": f"{day}/{number}",
            "outcome": "late",
            "actual": str(number - 1),
            "event_time": at(day + 1),
        }
        for day, number in names
        if number in {1, 2}
    ]
    insert(client, "predictions", [APP | each for each in predicted])
    insert(client, "actuals", [APP | each for each in known])


def _insert_runs(client: Client) -> None:
    """Training on three days: the second run fails at its second attempt, the third one is missed."""
    steps = [
        *(run("r-8", state, at(8) + s * 1000) for s, state in enumerate(("waiting", "running", "succeeded"))),
        *(run("r-9", state, at(9) + s * 1000) for s, state in enumerate(("waiting", "running", "waiting"))),
        run("r-9", "running", at(9) + 60_000, attempt=2, agent_id="host-2"),
        run("r-9", "failed", at(9) + 61_000, attempt=2, agent_id="host-2", reason="exit code 1"),
        run("r-10", "missed", at(10), agent_id="", reason="no agent has gpu=yes"),
    ]
    due = {"r-8": at(8), "r-9": at(9), "r-10": at(10)}
    insert(client, "run_transitions_log", [step | APP | {"due_at": due[step["run_id"]]} for step in steps])
    lines = ["epoch 1", "ValueError: no rows"]
    written = [
        {"run_id": "r-9", "attempt": 2, "line": number, "stream": "stderr", "text": text}
        for number, text in enumerate(lines, 1)
    ]
    insert(client, "logs", [APP | {"node_id": "train", "event_time": at(9)} | each for each in written * 2])


def _insert_blocks(client: Client) -> None:
    columns = "table_name, _topic, first_offset, last_offset, records, rows, inserted_at, last_ingested_at, delay_ms"
    blocks = [
        ("events", "mlops.events", first, first + 24, 25, 25, LATE, LATE, delay_ms)
        for first, delay_ms in ((0, 61_000), (25, 180_000), (50, 250))
    ]
    client.execute(f"INSERT INTO ingested_blocks ({columns}) VALUES", blocks)


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "What is live now, and why?": [("predict", "February", when(8), "m-2 requested", "ada")],
    "What was live at a moment?": [("predict", "February", 2)],
    "Which models were never live, and why not?": [("March", when(13), "accuracy 0.5 is below 0.7")],
    "Where does a model come from, and where did it go?": [
        ("January", "train", "trainer", when(2), when(8), [], 2),
        ("February", "train", "trainer", when(8), None, ["predict"], 1),
        ("March", "train", "trainer", None, None, [], 0),
    ],
    "Which record caused each decision about models?": [
        (when(1.5), "requested", "m-1", "", "model January (m-1) announced"),
        (when(7.5), "requested", "m-2", "ada", "approve by ada: looks good"),
        (when(13), "held", "m-3", "", "model March (m-3) announced"),
    ],
    "What fires now, and since when?": [
        ("low accuracy", "warning", "predict", when(11.5), "b/1 firing", "bob")
    ],
    "How often did each rule fire in a month, and how long did its alerts last?": [
        (date(2013, 2, 1), "drift", 2, 24.0),
        (date(2013, 2, 1), "low accuracy", 1, None),
    ],
    "Which alerts came in the first three days of a model?": [
        ("January", "drift", when(3)),
        ("February", "drift", when(9)),
    ],
    "What was the mean of a statistic on each day, and on how many samples does it rest?": [
        (when(day), 0.7 if day < 8 else 0.8, 2) for day in range(2, 15)
    ],
    "How good was each model while it was live?": [("February", 0.8, 14), ("January", 0.7, 12)],
    "Which segment is worst?": [("AA", 0.654, 13), ("UA", 0.854, 13)],
    "What was the 95th percentile of latency in each hour of a day?": [
        (when(10), 60, 57.0),
        (when(10 + 1 / 24), 60, 117.0),
    ],
    "Which series have stopped reporting?": [
        ("predict", "queue length", {}, when(6)),
        ("predict", "prediction latency ms", {}, when(10)),
    ],
    "Which features miss more values than in training?": [("temp", 0.01, 0.2)],
    "How often was each model right on each day, and of how many predictions is the outcome known?": [
        (date(2013, 2, 2), "m-1", 4, 0.75, 0.667),
        (date(2013, 2, 3), "m-1", 4, 0.75, 0.667),
    ],
    "How did a KPI go by week, for each segment?": [
        (date(2013, 1, 28), "AA", 0.45),
        (date(2013, 1, 28), "UA", 0.9),
        (date(2013, 2, 4), "AA", 0.586),
        (date(2013, 2, 4), "UA", 0.9),
        (date(2013, 2, 11), "AA", 0.7),
        (date(2013, 2, 11), "UA", 0.9),
    ],
    "Which points have been revised since a moment, and by how much?": [("AA", when(3), 0.5, 0.4)],
    "What was a KPI while each model was live?": [("February", 0.8, 14), ("January", 0.7, 12)],
    "Which nodes ran in a week, how often, and for how long?": [("train", 3, 1, 1, 1, 30.0)],
    "Which runs did not go well, where, and why?": [
        (when(9), "train", "failed", "host-2", 2, "exit code 1"),
        (when(10), "train", "missed", "", 1, "no agent has gpu=yes"),
    ],
    "Which lines of their logs tell of an error?": [("train", "r-9", 2, "stderr", "ValueError: no rows")],
    "Who decided what?": [
        ("ada", "approve", 2, when(9), "again"),
        ("bob", "acknowledge", 1, when(12), "seen"),
    ],
    "Which records could not be stored, and why?": [
        ("mlops.statistics", "decode", "DecodeError", 3, "byte 3")
    ],
    "Which records came into the warehouse late, and when?": [(LATE.date(), "events", 2, 50, 180.0)],
}


def test_there_is_an_answer_to_each_question() -> None:
    assert len(QUESTIONS) == 25
    assert QUESTIONS.keys() - ANSWERS.keys() == {"How long was each model in production, and why did it end?"}
    assert ANSWERS.keys() <= QUESTIONS.keys()


@pytest.mark.parametrize("question", ANSWERS)
def test_its_statement_answers_the_question(history: Client, question: str) -> None:
    assert history.execute(QUESTIONS[question]) == ANSWERS[question]


def test_the_time_in_production_of_what_is_live_goes_on(history: Client) -> None:
    ended, live = history.execute(QUESTIONS["How long was each model in production, and why did it end?"])
    assert ended == ("predict", "January", 6, 0, "m-1 superseded")
    assert live[:2] == ("predict", "February")
    assert live[2] == (datetime.now(UTC).date() - when(8).date()).days
    assert live[3:] == (1, "")
