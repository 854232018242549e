"""Sends the logs of runs to the topic ``logs``.

The files of the runs are the buffer: while the brokers take nothing, nothing is read. What is deleted there before it was
read, and what is over a run's limit, is counted in the next record. Up to where each log was confirmed is stored every few
seconds: after a kill some lines may be sent again, with the same numbers.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.agent.runners import RunKey
from parallelm.agent.telemetry import SeenRun
from parallelm.agent.telemetry.run_log import RunLog
from parallelm.schemas.records import LogLines, Origin
from parallelm.schemas.topics import LOGS

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelm.agent.metrics import AgentMetrics
    from parallelm.schemas.codec import Codec

_LOG = logging.getLogger(__name__)
_SAVE_INTERVAL_S = 3.0
_MOST_WAITING = 8_000_000
"""Bytes that the client holds; beyond, the files wait."""


class LogShipping:
    """Used by one thread."""

    def __init__(
        self, producer: Any, prefix: str, codec: Codec, positions: Path, metrics: AgentMetrics
    ) -> None:
        self._producer = producer
        self._topic = LOGS.full_name(prefix)
        self._codec = codec
        self._path = positions
        self._metrics = metrics
        self._logs: dict[RunKey, RunLog] = {}
        self._confirmed: dict[RunKey, int] = {}
        self._waiting_bytes = 0
        self._saved_at, self._is_refused = time.monotonic(), False
        self._recover()

    def see(self, runs: Collection[SeenRun], new: Collection[SeenRun] = ()) -> None:
        """The runs that go on now, and those that have come since the last call; who is missing in ``runs`` has ended."""
        current = {run.key for run in runs}
        for run in (*runs, *new):
            if run.key not in self._logs and run.logs is not None and run.lines_per_second:
                self._logs[run.key] = RunLog(run, 1, time.monotonic())
        for key, log in self._logs.items():
            log.is_over = key not in current

    def ship(self) -> bool:
        """Send what was written; whether there is more to send at once."""
        more = False
        for key, log in list(self._logs.items()):
            self._producer.poll(0)
            if self._waiting_bytes > _MOST_WAITING:
                return False
            self._logs[key] = self._logs.pop(key)  # the others first, the next time
            is_over = log.is_over  # before it is read: what is written until then is read
            try:
                records, has_more = log.read(time.monotonic())
            except OSError as error:
                _LOG.warning("the log of run %s cannot be read: %s", key.run_id, error)
                continue
            if log.dropped:
                self._metrics.dropped_log_lines.labels("limit").inc(log.dropped)
            if is_over and not has_more:
                records += log.rest()
            for record in records:
                self._send(key, record)
            if is_over and not has_more and not records:
                log.close()
                del self._logs[key]
                self._confirmed.pop(key, None)
            more = more or has_more
        if time.monotonic() - self._saved_at > _SAVE_INTERVAL_S:
            self.save()
        return more

    def save(self) -> None:
        """Store up to where each log was confirmed; a full disk only makes more lines come again."""
        self._saved_at = time.monotonic()
        table = [_entry(log.run, self._confirmed.get(key, 1)) for key, log in self._logs.items()]
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(table), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:
            if not self._is_refused:
                _LOG.warning("positions in logs cannot be stored yet: %s", error)
            self._is_refused = True
        else:
            self._is_refused = False

    def close(self) -> None:
        """Close the files."""
        for log in self._logs.values():
            log.close()

    def _send(self, key: RunKey, record: LogLines) -> None:
        last, value = record.first_line + len(record.lines), self._codec.encode(record)

        def delivered(error: Any, _message: Any) -> None:
            self._waiting_bytes -= len(value)
            if error is not None:
                self._metrics.dropped_log_lines.labels("undelivered").inc(len(record.lines))
                return
            self._metrics.log_lines.inc(len(record.lines))
            if key in self._logs:
                self._confirmed[key] = max(last, self._confirmed.get(key, 1))

        try:
            self._producer.produce(self._topic, value, LOGS.key(record), on_delivery=delivered)
            self._waiting_bytes += len(value)
        except BufferError:
            self._metrics.dropped_log_lines.labels("undelivered").inc(len(record.lines))

    def _recover(self) -> None:
        """Logs that were not sent whole when the agent ended; ended runs among them."""
        try:
            table = json.loads(self._path.read_text(encoding="utf-8"))
            found = [_run(entry) for entry in table]
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            _LOG.warning(
                "positions in logs cannot be read, logs of running runs are sent from their begin: %s", error
            )
            return
        for run, next_line in found:
            if run.logs is not None and run.logs.is_dir():
                self._logs[run.key] = RunLog(run, next_line, time.monotonic())
                self._confirmed[run.key] = next_line


def _entry(run: SeenRun, next_line: int) -> dict[str, Any]:
    origin = run.origin
    return {
        "run": [run.key.run_id, run.key.attempt],
        "origin": [origin.mlapp_id, origin.node_id, origin.pipeline_instance_id, origin.agent_id],
        "logs": str(run.logs),
        "limit": run.lines_per_second,
        "next": next_line,
    }


def _run(entry: dict[str, Any]) -> tuple[SeenRun, int]:
    mlapp_id, node_id, instance_id, agent_id = entry["origin"]
    run = SeenRun(
        key=RunKey(*entry["run"]),
        origin=Origin(
            mlapp_id=mlapp_id, node_id=node_id, pipeline_instance_id=instance_id, agent_id=agent_id
        ),
        logs=Path(entry["logs"]),
        lines_per_second=int(entry["limit"]),
    )
    return run, int(entry["next"])
