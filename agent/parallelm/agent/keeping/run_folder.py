"""The folder of one attempt of a run: all its state. Every other process may end at any moment and find it again here.

Who writes what: the agent ``spec.json``, ``plan.json``, ``variables.json``, ``request.json`` and ``lease``; the keeper
``keeper.json``, ``progress.json``, ``end.json`` and ``logs``; the programs ``work`` and ``outputs``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.keeping.files import create_json, read_json, replace_json, sync_folder
from parallelm.agent.keeping.plan import Plan
from parallelm.agent.keeping.process_identity import ProcessIdentity, boot_id
from parallelm.agent.keeping.records import Ending, Progress, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class RunFolder:
    """One attempt of a run. Cheap to make: it holds nothing, and reads its files when asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def at(cls, path: str) -> RunFolder:
        """The run in this folder."""
        return cls(Path(path))

    @classmethod
    def accept(cls, root: Path, run_id: str, attempt: int, spec_json: str) -> tuple[RunFolder, bool]:
        """Make the folder, whole and on the disk, and whether this call made it.

        False: it was accepted before, and stays as it was. Raises ``ValueError`` for an id that is no file name,
        ``OSError`` when the disk refuses it.
        """
        if not _SAFE_ID.fullmatch(run_id) or attempt < 1:
            raise ValueError(
                f"run {run_id!r} attempt {attempt}: an id has letters, digits, '.', '-' and '_' only"
            )
        path, new = root / f"{run_id}.{attempt}", root / f".new-{uuid.uuid4().hex}"
        if path.exists():
            return cls(path), False
        try:
            for name in ("work", "outputs", "logs"):
                (new / name).mkdir(parents=True, mode=0o700)
            with (new / "spec.json").open("x", encoding="utf-8") as file:
                file.write(spec_json)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(new)
            new.rename(path)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            if path.exists():
                return cls(path), False
            raise
        sync_folder(root)
        return cls(path), True

    @property
    def run_id(self) -> str:
        """Run."""
        return self.path.name.rpartition(".")[0]

    @property
    def attempt(self) -> int:
        """Attempt of the run, from 1."""
        return int(self.path.name.rpartition(".")[2])

    @property
    def work(self) -> Path:
        """Working folder of its programs."""
        return self.path / "work"

    @property
    def outputs(self) -> Path:
        """Folder of what its steps hand on: ``outputs/STEP/NAME``."""
        return self.path / "outputs"

    @property
    def logs(self) -> Path:
        """Folder of its log; see ``log_reader``."""
        return self.path / "logs"

    @property
    def model(self) -> Path:
        """Link to the model that its programs are given; there is none before it has one."""
        return self.path / "model"

    def spec_json(self) -> str:
        """The specification that it was accepted with."""
        return (self.path / "spec.json").read_text(encoding="utf-8")

    def keeper(self) -> ProcessIdentity | None:
        """The process that began it, or an agent that could not; it may have ended. None: no program was ever started."""
        table = read_json(self.path / "keeper.json")
        return None if table is None else ProcessIdentity(**table)

    def claim(self, keeper: ProcessIdentity) -> bool:
        """Make ``keeper`` the one that begins this run; False: another has, and this one must not."""
        return create_json(self.path / "keeper.json", keeper._asdict())

    def plan(self) -> Plan:
        """How its keeper runs it. Raises ``FileNotFoundError`` before it was prepared."""
        return Plan.of(json.loads((self.path / "plan.json").read_bytes()))

    def save_plan(self, plan: Plan) -> None:
        """Replace the plan; it is read once, when the keeper begins."""
        replace_json(self.path / "plan.json", plan.table())

    def progress(self) -> Progress:
        """How it stands, by its keeper."""
        return Progress(**read_json(self.path / "progress.json") or {})

    def save_progress(self, progress: Progress) -> None:
        """Replace what ``progress`` reads."""
        replace_json(self.path / "progress.json", dataclasses.asdict(progress), durable=False)

    def ending(self) -> Ending | None:
        """How it ended, or None while it has not, or nobody has found out."""
        table = read_json(self.path / "end.json")
        return None if table is None else Ending(**table)

    def save_ending(self, ending: Ending, *, reserve: Path | None = None) -> None:
        """Say how it ended. The first who says so is believed."""
        if self.ending() is None:
            replace_json(self.path / "end.json", dataclasses.asdict(ending), reserve=reserve)

    def request(self) -> Request:
        """What the agent asks of the keeper."""
        return Request(**read_json(self.path / "request.json") or {})

    def save_request(self, request: Request) -> None:
        """Replace what ``request`` reads."""
        replace_json(self.path / "request.json", dataclasses.asdict(request))

    def variables(self) -> Mapping[str, str]:
        """Variables that may differ at each start of a program: those of the model."""
        return read_json(self.path / "variables.json") or {}

    def save_variables(self, variables: Mapping[str, str]) -> None:
        """Replace what ``variables`` reads."""
        replace_json(self.path / "variables.json", dict(variables))

    def lease_end_s(self) -> float | None:
        """End of the lease by CLOCK_BOOTTIME, in seconds; None: it has none. One of an earlier boot is over."""
        table = read_json(self.path / "lease.json")
        if table is None:
            return None
        return float(table["until_s"]) if table["boot"] == boot_id() else 0.0

    def save_lease(self, until_s: float) -> None:
        """Replace what ``lease_end_s`` reads."""
        replace_json(self.path / "lease.json", {"until_s": until_s, "boot": boot_id()}, durable=False)

    def clear(self) -> None:
        """Delete what its programs left, logs included; that it ran, and how, stays."""
        for name in ("work", "outputs", "logs", "models"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def forget(self) -> None:
        """Delete it whole. A start command that comes again would then run it again: only after its expiry."""
        gone = self.path.with_name(f".gone-{uuid.uuid4().hex}")
        self.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
