"""A data folder as users have it, packed so that later versions can be tried on it, and what must be found in it.

``python -m tests.released.data_folder`` makes that of the current version in ``data_folders/``, with a copy of the names
that users depend on. Both are committed.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from parallelm.connections import load_settings, save_settings
from parallelm.connections.settings import CapturesSettings, RetentionSettings, Settings
from parallelm.mcenter.cli import cli
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.plan import settings_path
from parallelm.operations.lag import group_lags
from parallelm.server.access.matrix import ADMIN
from parallelm.server.access.principal import EVERY_MLAPP
from parallelm.server.accounts import people
from parallelm.server.accounts.database import Database
from parallelm.warehouse.catalogue import catalogue
from tests.released.snapshot import ARCHIVES, current_version, write_released
from tests.waiting import wait_for

DEFINITION: Final = Path(__file__).parent / "mlapp" / "released.yaml"
MLAPP: Final = "released"
USER: Final = "grace"
PASSWORD: Final = "correct horse battery"  # noqa: S105 - of an account that only tests have
_ANSWERS: Final = "answers.json"
_LEFT_OUT: Final = {"logs", "run", "ports.json", "kafka-logs"}
"""Of the folder: what a stack makes anew."""
_MOST_BYTES: Final = 8 << 20

Answers = dict[str, dict[str, Any]]
"""By table or view: its columns, and its rows of the MLApp."""


@dataclass(frozen=True)
class Platform:
    """The stack of a data folder, used by commands."""

    folder: Path
    who: tuple[str, ...] = ()
    """Options that say who decides, where no server knows it."""

    def mcenter(self, *arguments: str, typed: str = "") -> str:
        """What a command prints; it must succeed."""
        runner = CliRunner(env={"MCENTER_CONFIG": str(settings_path(self.folder))})
        done = runner.invoke(cli, arguments, input=typed or None)
        assert done.exit_code == 0, f"{arguments}: {done.output} {done.exception!r}"
        return done.stdout

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """What a command lists."""
        found: list[dict[str, Any]] = json.loads(self.mcenter(*arguments, "--format", "json"))
        return found

    @property
    def settings(self) -> Settings:
        """As the stack wrote them, for its administrator."""
        return load_settings({}, file=settings_path(self.folder), role="admin")

    def train(self, latency: float, *start: str) -> None:
        """Run the MLApp from training to predictions, and wait until all that it reports is in the tables."""
        self.mcenter("mlapps", "apply", str(DEFINITION), "--set", f"latency={latency}", *self.who)
        predictions = len(self.predicted())
        self.mcenter("mlapp", *start, *self.who)
        wait_for(lambda: len(self.predicted()) > predictions, self._told, 180)
        wait_for(lambda: not self._behind(), self._behind)

    def predicted(self) -> list[dict[str, Any]]:
        """Runs that have used a model to their end."""
        runs = self.rows("runs", "list", "--mlapp", MLAPP)
        assert not [run for run in runs if run["state"] in {"failed", "missed", "lost"}], runs
        return [run for run in runs if (run["node_id"], run["state"]) == ("predict", "succeeded")]

    def _told(self) -> str:
        return self.mcenter("runs", "list") + self.mcenter("deployments", "list")

    def _behind(self) -> list[str]:
        return [f"{lag.group}: {lag.records}" for lag in group_lags(self.settings) if lag.records]

    def open_alerts(self) -> list[str]:
        """Ids of alerts that fire."""
        return [alert["alert_id"] for alert in self.rows("alerts", "list", "--open", "--mlapp", MLAPP)]

    def answers(self) -> Answers:
        """Every row of the MLApp in what analysts ask."""
        return {
            relation.name: {
                "columns": (columns := [column.name for column in relation.columns]),
                "rows": self.rows_of(relation.name, columns),
            }
            for relation in catalogue(self.settings)
            if not relation.is_internal
            and not relation.parameters
            and "mlapp_id" in {column.name for column in relation.columns}
        }

    def rows_of(self, relation: str, columns: list[str]) -> list[dict[str, Any]]:
        """Of the MLApp."""
        sql = f"SELECT {', '.join(columns)} FROM {relation} WHERE mlapp_id = '{MLAPP}'"
        return self.rows("query", sql)


def started(folder: Path) -> LocalStack:
    """All services and an agent."""
    return LocalStack(folder, agents=1)


def fill(folder: Path) -> None:
    """Make a data folder with a little of everything, whose rows no retention deletes, and leave it at rest."""
    folder.mkdir(parents=True)
    for_ever = RetentionSettings(**dict.fromkeys(RetentionSettings.__dataclass_fields__, 0))
    save_settings(Settings(retention=for_ever, captures=CapturesSettings(keep_days=0)), settings_path(folder))
    platform = Platform(folder, ("--who", USER))
    with started(folder):
        database = Database(platform.settings.server.database_url)
        with database.writing() as sql:
            now_ms = time.time_ns() // 1_000_000
            account = people.create(sql, USER, now_ms, grants=[(ADMIN, EVERY_MLAPP)])
            people.set_password(account, PASSWORD, now_ms)
        database.close()
        platform.train(0.9, "launch", MLAPP)
        wait_for(platform.open_alerts, "an alert")
        points = "kpi,timestamp,value\nrevenue,2026-06-01,1000.5\n"
        file = folder.parent / "revenue.csv"
        file.write_text(points, encoding="ascii")
        platform.mcenter("kpis", "upload", str(file), "--mlapp", MLAPP, *platform.who)
        today = datetime.now(UTC)
        days = [(today + timedelta(days=number)).strftime("%Y-%m-%d") for number in (-1, 2)]
        platform.mcenter("captures", "create", MLAPP, "--from", days[0], "--to", days[1], *platform.who)
        wait_for(lambda: not platform._behind(), platform._behind)
        answers = wait_for(lambda: _complete(platform.answers()), "rows in every table")
    for plan in folder.glob("agents/*/process/runs/*/plan.json"):
        plan.write_text(plan.read_text("utf-8").replace(sys.prefix, "/opt/mcenter"), "utf-8")
    (folder / _ANSWERS).write_text(json.dumps(answers), encoding="utf-8")


def _complete(answers: Answers) -> Answers | None:
    """Unless something that was reported is not there yet."""
    expected = {"statistics", "events", "alerts_current", "models", "deployments_current", "kpis_current"}
    expected |= {"structured_statistics", "predictions", "runs_current", "logs", "actions", "mlapps_current"}
    return answers if all(answers[name]["rows"] for name in expected) else None


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder that ``fill`` has left."""

    def chosen(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        top = member.name.split("/")[1] if "/" in member.name else ""
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if top in _LEFT_OUT or not (member.isfile() or member.isdir()) else member

    with tarfile.open(archive, "w:xz") as packed:
        packed.add(folder, "data", filter=chosen)
    assert archive.stat().st_size < _MOST_BYTES, f"{archive} has {archive.stat().st_size} bytes"


def unpack(archive: Path, folder: Path) -> Answers:
    """Unpack into a new folder; returns what must be found in it."""
    with tarfile.open(archive) as packed, tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        packed.extractall(beside, filter="data")
        shutil.move(Path(beside) / "data", folder)
    answers: Answers = json.loads((folder / _ANSWERS).read_text(encoding="utf-8"))
    return answers


def main() -> None:
    """Make the archive of the current version."""
    archive = ARCHIVES / f"{current_version()}.tar.xz"
    if archive.exists():
        sys.exit(f"{archive} is there already: what a released version has left is never made again")
    ARCHIVES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mcenter-") as folder:
        fill(Path(folder) / "data")
        pack(Path(folder) / "data", archive)
    names = write_released(current_version())
    sys.stdout.write(f"{archive}: {archive.stat().st_size} bytes\n{names}\n")


if __name__ == "__main__":
    main()
