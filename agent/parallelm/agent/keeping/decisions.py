"""What is to become of a run: which step starts, what is ended and when, whether it starts again, how it ended.

Decided in a process aside, once for each thing that happens: between two decisions a run is only bytes in its keeper, who does
what was decided.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
import zlib
from typing import TYPE_CHECKING, NamedTuple

from parallelm.agent.keeping.limits import Limits
from parallelm.agent.keeping.orphans import RUN_FOLDER_VARIABLE
from parallelm.agent.keeping.process_identity import stat_fields
from parallelm.agent.keeping.records import Ending, Progress
from parallelm.agent.keeping.restarts import RestartHistory, next_delay_s
from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.keeping.timer import boot_time_s
from parallelm.agent.keeping.watch import Watch, earliest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.agent.keeping.plan import Plan
    from parallelm.agent.keeping.program import Program
    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.keeping.watch import Sight

RESERVE = ".reserve"
"""Space for a keeper's last word."""
_LEFT_GRACE_S = 5.0
"""Of processes that a program has left behind, at most."""
_KILL_AGAIN_S = 0.05
_WRITE_AGAIN_S = 1.0
_START_TICKS = 19


class Begun(NamedTuple):
    """A claimed run, in plain values."""

    path: str
    log_bytes: int
    log_keep_s: float
    state: bytes
    """Of its decider."""
    environs: bytes
    """Variables that are inherited, secret, of the run, and of each step: marshalled and compressed, for processes that become programs."""


class Decision(NamedTuple):
    """What the keeper is to do until something else happens."""

    start: str | None
    """Step whose program is to be started, now."""
    is_over: bool
    """Whether the run has ended, and only its last word is missing."""
    until_s: float | None
    """When to decide again at the latest, monotonic."""
    boot_until_s: float | None
    """The same by CLOCK_BOOTTIME."""
    said: list[tuple[bytes, bytes]]
    """Steps and texts of lines that go into the log."""
    state: bytes
    """The decider, for the next decision."""


class Decider:
    """A run that was claimed. It is pickled between two decisions."""

    def __init__(self, path: str, plan: Plan) -> None:
        self._path, self._plan = path, plan
        self._watch = Watch(path, plan)
        self._limits = Limits(plan.memory_bytes, plan.cpus, _cgroup(path, plan))
        self._progress = Progress()
        self._history = RestartHistory()
        self._message = ""
        self._exit_code = 0
        self._step: int | None = None
        """Of the plan: which runs. None before a start."""
        self._is_starting = False
        self._began_s = self._start_at_s = 0.0
        self._kill_at_s: float | None = None
        self._was_terminated = self._was_rest_terminated = False
        self._said: list[tuple[bytes, bytes]] = []
        if self._limits.problem:
            self._say(self._limits.problem)

    @classmethod
    def restored(cls, state: bytes) -> Decider:
        """The one that ``state`` was made of."""
        decider: Decider = pickle.loads(zlib.decompress(state))  # noqa: S301 - our own
        return decider

    def state(self) -> bytes:
        """All of it."""
        return zlib.compress(pickle.dumps(self))

    def decide(self, sight: Sight, program: Program | None, start_error: str) -> Decision:
        """Decide, as things stand: ``program`` is the last that was started, None when that failed for ``start_error``."""
        self._watch.look(sight)
        if self._is_starting:
            self._is_starting = False
            self._note_start(program)
        if self._step is not None:
            if program is not None and not program.gone:
                self._tend(program)
                return self._decision(
                    until_s=self._watch.time_limit_s(),
                    boot_until_s=earliest(self._kill_at_s, self._watch.lease_over_s()),
                )
            self._note_end(self._step, program, start_error)
            last = self._step + 1 == len(self._plan.steps)
            if not (last or self._exit_code or self._is_interrupted()):
                return self._start(self._step + 1)
            self._step = None
            if not self._is_to_start_again():
                return self._over()
        return self._begin_when_due()

    def environ(self, variables: tuple[Mapping[str, str], ...]) -> dict[str, str]:
        """Environment of the step that starts: ``variables`` as ``Begun`` has them."""
        inherited, secrets, of_run, of_steps = variables
        step = self._plan.steps[self._step or 0]
        return {
            **inherited,
            **of_run,
            **of_steps[step.step_id],  # type: ignore[dict-item]
            **RunFolder.at(self._path).variables(),
            **secrets,
            RUN_FOLDER_VARIABLE: self._path,
        }

    def enter(self) -> list[str]:
        """In the process that becomes the step's program: be where and as limited as it is to be; returns its command."""
        step = self._plan.steps[self._step or 0]
        os.chdir(step.folder)
        self._limits.enter()
        has_model = step.command_with_model and RunFolder.at(self._path).model.exists()
        return list(step.command_with_model if has_model else step.command)

    def finish(self, dropped: int) -> None:
        """Record how it ended, as soon as the disk takes it; ``dropped`` lines are missing in its log."""
        run = RunFolder.at(self._path)
        ending = self._ending(dropped)
        while True:
            try:
                run.save_ending(ending, reserve=run.path / RESERVE)
            except OSError:
                if not run.path.exists():
                    return  # somebody has deleted it, and with it everything that could be told
                time.sleep(_WRITE_AGAIN_S)
            else:
                return

    def _decision(
        self,
        *,
        start: str | None = None,
        is_over: bool = False,
        until_s: float | None = None,
        boot_until_s: float | None = None,
    ) -> Decision:
        said, self._said = self._said, []
        return Decision(start, is_over, until_s, boot_until_s, said, self.state())

    def _begin_when_due(self) -> Decision:
        """Start the first step, or wait until its time has come."""
        if self._watch.order is not None:
            return self._over()
        self._watch.signals.clear()
        now_s = time.monotonic()
        if now_s < self._start_at_s and not self._watch.restarts:
            return self._decision(
                until_s=earliest(self._start_at_s, self._watch.time_limit_s()),
                boot_until_s=self._watch.lease_over_s(),
            )
        self._watch.restarts = 0
        self._progress.starts += 1
        self._began_s = now_s
        return self._start(0)

    def _start(self, step: int) -> Decision:
        self._step, self._is_starting = step, True
        self._kill_at_s = None
        self._was_terminated = self._was_rest_terminated = False
        return self._decision(start=self._plan.steps[step].step_id)

    def _over(self) -> Decision:
        self._limits.close()
        return self._decision(is_over=True)

    def _is_interrupted(self) -> bool:
        return self._watch.order is not None or self._watch.restarts > 0

    def _tend(self, program: Program) -> None:
        """See to a program that is there: pass signals on, end it when it is to end, and what it leaves when it has ended."""
        now_s, grace_s = boot_time_s(), self._watch.grace_s
        if self._is_interrupted() and not self._was_terminated:
            self._was_terminated = True
            program.terminate()
            self._kill_at_s = now_s + grace_s
        elif self._was_terminated and self._watch.order is not None:
            self._kill_at_s = earliest(self._kill_at_s, now_s + grace_s)
        if program.exit_code is not None and not self._was_rest_terminated:
            self._was_rest_terminated = True
            program.terminate()
            self._kill_at_s = earliest(self._kill_at_s, now_s + min(grace_s, _LEFT_GRACE_S))
        if self._was_terminated or self._was_rest_terminated:
            self._kill_at_s = earliest(self._kill_at_s, self._watch.kill_limit_s())
        if self._kill_at_s is not None and boot_time_s() >= self._kill_at_s:
            program.kill()
            self._kill_at_s = boot_time_s() + _KILL_AGAIN_S
        for name in self._watch.signals:
            program.send(signal.Signals[name])
        self._watch.signals.clear()

    def _is_to_start_again(self) -> bool:
        """Whether the steps start again, and when, after they have ended."""
        if self._watch.order is not None:
            return False
        now_s = time.monotonic()
        if self._watch.restarts:
            self._start_at_s = now_s
            self._say("restarted as the agent asked")
            return True
        delay_s = next_delay_s(
            self._plan.restart,
            self._history,
            exit_code=self._exit_code,
            ran_s=now_s - self._began_s,
            now_s=now_s,
        )
        if delay_s is None:
            return False
        self._start_at_s = now_s + delay_s
        self._say(f"{self._message or f'exit code {self._exit_code}'}; starts again in {delay_s:g} s")
        if delay_s > 0:
            self._progress.restart_at_ms = _now_ms() + int(delay_s * 1000)
            self._save_progress()
        return True

    def _note_start(self, program: Program | None) -> None:
        if program is None or self._step is None:
            return
        self._progress.step_id, self._progress.pid = self._plan.steps[self._step].step_id, program.pid
        self._progress.started_at_ms, self._progress.restart_at_ms = _now_ms(), 0
        self._save_progress()

    def _note_end(self, step: int, program: Program | None, start_error: str) -> None:
        step_id, command = self._plan.steps[step].step_id, self._plan.steps[step].command
        self._exit_code = 1 if program is None else program.exit_code or 0
        if program is not None:
            self._progress.pid, self._progress.last_exit_code = 0, self._exit_code
        self._message = ""
        if start_error:
            self._message = f"program {command[0]!r} could not be started: {start_error}"
            self._say(self._message)
        elif self._limits.out_of_memory():
            self._message = f"step {step_id}: out of memory"
        elif self._exit_code < 0:
            self._message = f"step {step_id}: ended by signal {-self._exit_code}"
        elif self._exit_code:
            self._message = f"step {step_id}: exit code {self._exit_code}"

    def _save_progress(self) -> None:
        progress = self._progress
        fields = stat_fields(progress.pid) if progress.pid else None
        progress.start_ticks = int(fields[_START_TICKS]) if fields else 0
        progress.limits = self._limits.how
        try:
            RunFolder.at(self._path).save_progress(progress)
        except OSError as error:
            self._say(f"its progress could not be recorded: {error}")

    def _ending(self, dropped: int) -> Ending:
        outcome: Outcome = "failed" if self._exit_code else "succeeded"
        message = self._message
        if self._watch.order is not None:
            outcome, message = self._watch.order
        if dropped:
            message += f"; the disk did not take {dropped} lines of its log"
        return Ending(
            outcome=outcome,
            exit_code=self._exit_code,
            step_id=self._progress.step_id,
            starts=self._progress.starts,
            message=message.removeprefix("; "),
            ended_at_ms=_now_ms(),
        )

    def _say(self, text: str) -> None:
        self._said.append((self._progress.step_id.encode() or b"-", text.encode() + b"\n"))


def _cgroup(path: str, plan: Plan) -> str:
    return plan.cgroups and f"{plan.cgroups}/run-{path.rpartition('/')[2]}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
