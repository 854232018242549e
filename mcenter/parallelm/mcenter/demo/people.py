"""What people do during the replay, by the commands that they would type, and what the replay waits for."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from parallelm.mcenter.demo.errors import DemoError
from parallelm.mcenter.demo.replay import MLAPP, environ
from parallelm.operations.quality import Enough, report_quality
from parallelm.warehouse.queries import query_frame
from parallelm.warehouse.queries.model_quality import Judged

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings

REVIEWED_NODE = "predict-jfk"
REVIEWER = "anna"
FIRST_REVIEW, SECOND_REVIEW = date(2013, 2, 2), date(2013, 4, 10)
SILENCED_FROM = date(2013, 2, 15)
VERDICT_DAYS = (8, 9, 10)
"""Days of the month on which the canary's first week has been reported.

Usually the first. When the processors learn only after the canary's first reports that it has the model, these do not
count, and the week ends a day later."""
VERDICT_DEADLINE_S = 10.0
DEADLINE_S = 60.0
POLL_S = 0.02
OUTCOME = "late"
HOUR, WEEK = Enough(known=5), Enough(known=100)
"""Flights of an hour, and of a week, that have arrived before predictions for it are judged."""
EVALUATED = timedelta(weeks=6)
"""What was reported before is not reported again; the weeks since the last evaluation are among these."""
_PENDING = ("canary", "held", "awaiting_approval")


@dataclass(slots=True)
class People:
    """Called after each day; ``transcript`` collects the commands that people typed, with what these printed."""

    settings: Settings
    config: Path
    transcript: list[tuple[str, str]] = field(default_factory=list)

    def after(self, day: date) -> None:
        """Do what is due after ``day``."""
        if day.day in VERDICT_DAYS and day.month > FIRST_REVIEW.month:
            self._report_quality(day)
            is_last = day.day == VERDICT_DAYS[-1]
            self._wait_for_model(f"{day:%Y-%m}", "predict", None if is_last else VERDICT_DEADLINE_S)
        if (day + timedelta(days=1)).day == 1 and day > FIRST_REVIEW:
            self._report_quality(day)
        if day == SILENCED_FROM:
            self.type(
                "alerts", "silence", f"mlapp={MLAPP}", 'feature=~"dewp|visib"', "--for", "1h",
                "--who", REVIEWER, "--comment", "temperature and pressure say the same",
            )  # fmt: skip
        if day == FIRST_REVIEW:
            self._review(day, "the first model: better than none")
        elif day == SECOND_REVIEW:
            self._review(day, "its canary has passed, and its metrics on the held-out week are fine")

    def _review(self, day: date, comment: str) -> None:
        """Look at the month's model beside the live one, and approve it."""
        month = f"{day:%Y-%m}"
        model_id = self._ask(_MODEL.format(mlapp=MLAPP, month=month))
        self.type("models", "show", model_id, "--mlapp", MLAPP)
        noon = f"{day + timedelta(days=1)}T12:00"
        self.type(
            "models", "approve", model_id, "--mlapp", MLAPP, "--node", REVIEWED_NODE,
            "--event-time", noon, "--who", REVIEWER, "--comment", comment,
        )  # fmt: skip
        self._wait_for_model(month, REVIEWED_NODE)

    def at_the_end(self, last_day: date) -> None:
        """Report what is left, when everything is in the warehouse."""
        report_quality(
            self.settings,
            Judged(mlapp_id=MLAPP, start=last_day - EVALUATED, end=last_day),
            enough=WEEK,
            by="week",
        )
        of_the_month = Judged(mlapp_id=MLAPP, outcome=OUTCOME, start=last_day.replace(day=1), end=last_day)
        report_quality(self.settings, of_the_month, enough=HOUR, by="hour", measures=("log_loss",))

    def _report_quality(self, day: date) -> None:
        """Report how good the predictions before ``day`` were, as a person's hourly job would."""
        deadline = time.monotonic() + DEADLINE_S
        while self._ask(_ARRIVED.format(mlapp=MLAPP, day=day, before=day - timedelta(days=1))) != "1":
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the arrivals before {day} are not in the warehouse after {DEADLINE_S:.0f} s"
                )
            time.sleep(POLL_S)
        of_the_month = Judged(mlapp_id=MLAPP, outcome=OUTCOME, start=day.replace(day=1), end=day)
        report_quality(self.settings, of_the_month, enough=HOUR, by="hour", measures=("log_loss",))
        monday = day - timedelta(days=day.weekday())
        whole_weeks = Judged(mlapp_id=MLAPP, outcome=OUTCOME, start=monday - EVALUATED, end=monday)
        report_quality(self.settings, whole_weeks, enough=WEEK, by="week")

    def type(self, *command: str) -> str:
        """Run a ``mcenter`` command as a person would; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "parallelm.mcenter", *command],
            env=environ(self.config) | {"COLUMNS": "110"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        words = shlex.join(command)
        if done.returncode:
            raise DemoError(f"`mcenter {words}` failed: {done.stderr.strip() or done.stdout.strip()}")
        self.transcript.append((f"mcenter {words}", _shortened(done.stdout)))
        return done.stdout

    def _wait_for_model(self, month: str, node: str, patience_s: float | None = None) -> None:
        """Return when it is decided, in the warehouse, whether the month's model is deployed to ``node``.

        Also after ``patience_s``; without it, raises ``DemoError`` at the deadline.
        """
        deadline, state = time.monotonic() + (patience_s or DEADLINE_S), ""
        while not state or state in _PENDING:
            if time.monotonic() > deadline:
                if patience_s is not None:
                    return
                raise DemoError(
                    f"the model of {month} is {state or 'unknown'} on node {node} after {DEADLINE_S:.0f} s; see "
                    "`mcenter models history` and the log of the processors"
                )
            time.sleep(POLL_S)
            state = self._ask(_STATE.format(mlapp=MLAPP, month=month, node=node))

    def _ask(self, sql: str) -> str:
        """The only cell of an answer; empty when there is none."""
        frame = query_frame(self.settings, sql)
        return "" if frame.empty else str(frame.iloc[0, 0])


def _shortened(printed: str) -> str:
    """Without the lines about single features: there are a dozen of each measure of drift."""
    lines = printed.rstrip().splitlines()
    shown = [line for line in lines if "{'feature':" not in line]
    left_out = len(lines) - len(shown)
    return "\n".join(shown + [f"({left_out} lines about single features are left out here)"] * bool(left_out))


_MODEL = "SELECT model_id FROM models WHERE mlapp_id = '{mlapp}' AND endsWith(name, '{month}')"
_ARRIVED = (
    "SELECT (SELECT max(event_time) FROM actuals WHERE mlapp_id = '{mlapp}') >= toDateTime64('{before} 00:00:00', 3, 'UTC')"
    " AND (SELECT min(last) FROM (SELECT max(event_time) AS last FROM predictions WHERE mlapp_id = '{mlapp}'"
    " AND node_id != 'predict-jfk' GROUP BY node_id)) >= toDateTime64('{day} 00:00:00', 3, 'UTC')"
)
"""Whether all predictions before a day, and their outcomes, are there: some of that day are."""
_STATE = (
    "SELECT state FROM deployments_current INNER JOIN models USING (mlapp_id, model_id)"
    " WHERE mlapp_id = '{mlapp}' AND node_id = '{node}' AND endsWith(name, '{month}')"
)
