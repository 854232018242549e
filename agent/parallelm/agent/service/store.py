"""What the agent must know after any end of itself: SQLite in its data folder.

Reports that the broker has not confirmed, what was told of each run, and up to where commands were carried out change in
one transaction. So a report is neither lost nor made twice, and a command is carried out again only if nothing of it was
reported.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Self

from parallelm.agent.errors import AgentError
from parallelm.agent.runners import RunKey
from parallelm.agent.service.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reports (seq INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT NOT NULL, attempt INTEGER NOT NULL, at_ms INTEGER NOT NULL, told TEXT NOT NULL,
    PRIMARY KEY (run_id, attempt)
) WITHOUT ROWID;
"""
_SEQS_A_START = 1 << 32
"""Each start of the agent numbers its reports from a range of its own: no number is given twice, whatever was lost."""
_PAGE = 4096


class StoreFullError(AgentError):
    """The disk, or the share of it that the agent may use, is full; or it cannot be written for another reason."""


class Report:
    """A report on its way: its number, key and encoded record."""

    __slots__ = ("key", "seq", "value")

    def __init__(self, seq: int, key: bytes, value: bytes) -> None:
        self.seq, self.key, self.value = seq, key, value


class Store:
    """The store of one agent; used by one thread. ``max_bytes`` bounds its file."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        try:
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(f"PRAGMA max_page_count={max(16, max_bytes // _PAGE)}")
            self._database.executescript(_TABLES)
            starts = int(self.get("starts") or "0") + 1
            self.put(starts=str(starts))
        except (sqlite3.Error, StoreFullError) as error:
            with contextlib.suppress(AttributeError):
                self._database.close()
            kind = StoreFullError if _is_for_now(error) else AgentError
            raise kind(
                f"{path} cannot be used: {error}; make room on its disk, or name another folder with --data"
            ) from error
        self._next_seq = starts * _SEQS_A_START

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._database.close()

    def take_seq(self) -> int:
        """Number for a report."""
        self._next_seq += 1
        return self._next_seq

    def get(self, name: str) -> str | None:
        """A stored value."""
        row = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, **values: str) -> None:
        """Store values; raises ``StoreFullError``."""
        self.commit((), {}, values)

    def reports(self) -> list[Report]:
        """Reports that were not confirmed, in order."""
        rows = self._database.execute("SELECT seq, key, value FROM reports ORDER BY seq")
        return [Report(*row) for row in rows]

    def told(self) -> dict[RunKey, Told]:
        """What was told of each run."""
        rows = self._database.execute("SELECT run_id, attempt, told FROM runs")
        return {RunKey(run_id, attempt): _read(text) for run_id, attempt, text in rows}

    def commit(
        self,
        reports: Iterable[Report],
        told: Mapping[RunKey, Told],
        values: Mapping[str, str],
        at_ms: int = 0,
    ) -> None:
        """Store all of it or nothing; raises ``StoreFullError``."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "INSERT INTO reports VALUES (?, ?, ?)", [(each.seq, each.key, each.value) for each in reports]
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)",
                [(key.run_id, key.attempt, at_ms, _written(each)) for key, each in told.items()],
            )
            self._database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreFullError(f"the agent's store cannot be written: {error}") from error

    def confirmed(self, seqs: Iterable[int]) -> None:
        """Forget reports that the broker has; raises ``StoreFullError``, and they are sent again after a restart."""
        self._change("DELETE FROM reports WHERE seq = ?", [(seq,) for seq in seqs])

    def forget_runs(self, before_ms: int, known: Iterable[RunKey]) -> list[RunKey]:
        """Forget runs of which nothing was told since ``before_ms``, except ``known``; returns which."""
        kept = set(known)
        rows = self._database.execute("SELECT run_id, attempt FROM runs WHERE at_ms < ?", (before_ms,))
        gone = [key for key in (RunKey(*row) for row in rows.fetchall()) if key not in kept]
        self._change(
            "DELETE FROM runs WHERE run_id = ? AND attempt = ?", [(k.run_id, k.attempt) for k in gone]
        )
        return gone

    def _change(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(statement, rows)
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreFullError(f"the agent's store cannot be written: {error}") from error

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")


def _is_for_now(error: BaseException) -> bool:
    """Whether there is no room, or the disk fails, rather than that the file is none of a store."""
    cause = error.__cause__ if isinstance(error, StoreFullError) else error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


def _written(told: Told) -> str:
    return json.dumps(
        [told.is_accepted, told.starts, told.outcome, told.message[:2000], sorted(told.deliveries)]
    )


def _read(text: str) -> Told:
    is_accepted, starts, outcome, message, deliveries = json.loads(text)
    return Told(
        is_accepted=is_accepted,
        starts=starts,
        outcome=outcome,
        message=message,
        deliveries=frozenset(deliveries),
    )
