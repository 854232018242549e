"""The process that keeps one run: runs its steps, reads what they write, ends them, and records how it went.

It is forked from the zygote and outlives the agent. What it imports at its head is all that it touches in its own
memory; the rest is for processes aside, for the one that becomes the program, and for its last word.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.agent.keeping.aside import aside
from parallelm.agent.keeping.limits import Limits
from parallelm.agent.keeping.linux import become_reaper
from parallelm.agent.keeping.log_writer import LogWriter
from parallelm.agent.keeping.plan import Plan
from parallelm.agent.keeping.process_identity import stat_fields
from parallelm.agent.keeping.program import Program
from parallelm.agent.keeping.restarts import RestartHistory, next_delay_s
from parallelm.agent.keeping.timer import boot_time_s
from parallelm.agent.keeping.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.agent.keeping.plan import StepPlan
    from parallelm.agent.keeping.records import Ending

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
    plan: dict[str, Any]
    """``Plan.table``, without variables."""
    environs: bytes
    """Of each step, all but what may differ at each start: marshalled, for the process that becomes its program."""


class _Standing:
    """What changes of ``Progress``."""

    def __init__(self) -> None:
        self.step_id = ""
        self.pid = self.starts = self.started_at_ms = self.restart_at_ms = 0
        self.last_exit_code: int | None = None


class Keeper:
    """Runs the steps of one run, which it has claimed."""

    def __init__(self, begun: Begun, end_with: int | None) -> None:
        self._begun, self._plan = begun, Plan.of(begun.plan)
        self._log = LogWriter(f"{begun.path}/logs", self._plan.log_bytes, self._plan.log_keep_s)
        self._watch = Watch(begun.path, self._plan, end_with)
        self._limits = Limits(self._plan.memory_bytes, self._plan.cpus, _cgroup(begun, self._plan))
        self._progress = _Standing()
        self._history = RestartHistory()
        self._message = ""

    def keep(self) -> None:
        """Run it to its end."""
        from parallelm.agent.keeping.run_folder import RunFolder

        ending, run = self.run_to_end(), RunFolder.at(self._begun.path)
        while True:
            try:
                run.save_ending(ending, reserve=run.path / RESERVE)
            except OSError:
                if not os.path.exists(self._begun.path):  # noqa: PTH110 - paths take memory
                    return  # somebody has deleted it, and with it everything that could be told
                time.sleep(_WRITE_AGAIN_S)
            else:
                return

    def run_to_end(self) -> Ending:
        """Run the steps, again where the plan says so, until the run has ended."""
        become_reaper()
        self._watch.begin()
        if self._limits.problem:
            self._say(self._limits.problem)
        exit_code, delay_s = 0, 0.0
        while self._wait_for_restart(delay_s):
            self._watch.restarts = 0
            self._progress.starts += 1
            if self._progress.starts > 1:
                gc.collect()
            began_s = time.monotonic()
            exit_code = self._run_steps()
            if self._watch.is_ordered():
                break
            if self._watch.restarts:
                delay_s = 0.0
                self._say("restarted as the agent asked")
                continue
            now_s = time.monotonic()
            next_s = next_delay_s(
                self._plan.restart, self._history, exit_code=exit_code, ran_s=now_s - began_s, now_s=now_s
            )
            if next_s is None:
                break
            delay_s = next_s
            self._say(f"{self._message or f'exit code {exit_code}'}; starts again in {delay_s:g} s")
        self._limits.close()
        self._watch.end()
        self._log.close()
        return self._ending(exit_code)

    def _run_steps(self) -> int:
        """Run the steps up to the first that fails; returns the last exit code."""
        exit_code = 0
        for step in self._plan.steps:
            exit_code = self._run_step(step)
            if exit_code or self._is_interrupted():
                break
        return exit_code

    def _is_interrupted(self) -> bool:
        return self._watch.is_ordered() or self._watch.restarts > 0

    def _run_step(self, step: StepPlan) -> int:
        """Run one program until it and all that it has started are gone; returns its exit code."""
        try:
            program = self._start(step)
        except OSError as error:  # no process, descriptor or memory to be had
            self._message = f"program {step.command[0]!r} could not be started: {error}"
            self._say(self._message)
            return 1
        self._save_start(step, program)
        kill_at_s: float | None = None
        told_to_end = told_rest = False
        while not program.gone:
            if self._is_interrupted() and not told_to_end:
                told_to_end = True
                program.terminate()
                kill_at_s = boot_time_s() + self._watch.grace_s
            elif told_to_end and kill_at_s is not None and self._watch.is_ordered():
                kill_at_s = min(kill_at_s, boot_time_s() + self._watch.grace_s)
            if program.exit_code is not None and not told_rest:
                told_rest = True
                program.terminate()
                kill_at_s = _earlier(kill_at_s, boot_time_s() + min(self._watch.grace_s, _LEFT_GRACE_S))
            if told_to_end or told_rest:
                kill_at_s = _earlier(kill_at_s, self._watch.kill_limit_s())
            kill_at_s = self._kill_if_due(program, kill_at_s)
            self._watch.wait(program.descriptors, until_s=None, kill_at_s=kill_at_s)
            self._pass_signals(program)
            program.read()
            program.reap()
        program.close()
        return self._ended(step, program)

    def _kill_if_due(self, program: Program, kill_at_s: float | None) -> float | None:
        """Kill what is left once its time is over; returns when to do so again."""
        if kill_at_s is None or boot_time_s() < kill_at_s:
            return kill_at_s
        program.kill()
        return boot_time_s() + _KILL_AGAIN_S

    def _start(self, step: StepPlan) -> Program:
        return Program(lambda: self._become(step), self._log, step.step_id)

    def _become(self, step: StepPlan) -> tuple[Sequence[str], Mapping[str, str]]:
        """In the process that becomes the step's program: where it works, its limits, command and environment."""
        from parallelm.agent.keeping.orphans import RUN_FOLDER_VARIABLE
        from parallelm.agent.keeping.run_folder import RunFolder

        inherited, secrets, environ, of_steps = marshal.loads(self._begun.environs)  # noqa: S302 - our own
        environ = {
            **inherited,
            **environ,
            **of_steps[step.step_id],
            **RunFolder.at(self._begun.path).variables(),
            **secrets,
            RUN_FOLDER_VARIABLE: self._begun.path,
        }
        os.chdir(step.folder)
        self._limits.enter()
        return step.command, environ

    def _save_start(self, step: StepPlan, program: Program) -> None:
        self._progress.step_id, self._progress.pid = step.step_id, program.pid
        self._progress.started_at_ms, self._progress.restart_at_ms = _now_ms(), 0
        self._save_progress()

    def _ended(self, step: StepPlan, program: Program) -> int:
        exit_code = program.exit_code or 0
        self._progress.pid = 0
        self._progress.last_exit_code = exit_code
        if program.start_error:
            self._message = f"program {step.command[0]!r} could not be started: {program.start_error}"
            self._say(self._message)
        elif self._limits.out_of_memory():
            self._message = f"step {step.step_id}: out of memory"
        elif exit_code < 0:
            self._message = f"step {step.step_id}: ended by signal {-exit_code}"
        elif exit_code:
            self._message = f"step {step.step_id}: exit code {exit_code}"
        else:
            self._message = ""
        return exit_code

    def _wait_for_restart(self, delay_s: float) -> bool:
        """Wait before a start; False: the run is to end."""
        if delay_s <= 0:
            return not self._watch.is_ordered()
        until_s = time.monotonic() + delay_s
        self._progress.restart_at_ms = _now_ms() + int(delay_s * 1000)
        self._save_progress()
        while time.monotonic() < until_s and not self._is_interrupted():
            self._watch.wait((), until_s=until_s, kill_at_s=None)
            self._watch.signals.clear()
        return not self._watch.is_ordered()

    def _pass_signals(self, program: Program) -> None:
        for name in self._watch.signals:
            program.send(signal.Signals[name])
        self._watch.signals.clear()

    def _ending(self, exit_code: int) -> Ending:
        from parallelm.agent.keeping.records import Ending

        order = self._watch.order
        if order is not None:
            outcome, message = order
        else:
            outcome, message = ("failed" if exit_code else "succeeded"), self._message
        if self._log.dropped:
            message += f"; the disk did not take {self._log.dropped} lines of its log"
        return Ending(
            outcome=outcome,
            exit_code=exit_code,
            step_id=self._progress.step_id,
            starts=self._progress.starts,
            message=message.removeprefix("; "),
            ended_at_ms=_now_ms(),
        )

    def _save_progress(self) -> None:
        _, error = aside(self._write_progress)
        if error:
            self._say(f"its progress could not be recorded: {error}")

    def _write_progress(self) -> None:
        from parallelm.agent.keeping.records import Progress
        from parallelm.agent.keeping.run_folder import RunFolder

        fields = stat_fields(self._progress.pid) if self._progress.pid else None
        progress = Progress(
            **vars(self._progress),
            start_ticks=int(fields[_START_TICKS]) if fields else 0,
            limits=self._limits.how,
        )
        RunFolder.at(self._begun.path).save_progress(progress)

    def _say(self, text: str) -> None:
        self._log.write(b"k", self._progress.step_id.encode() or b"-", text.encode() + b"\n")


def _cgroup(begun: Begun, plan: Plan) -> str:
    return plan.cgroups and f"{plan.cgroups}/run-{begun.path.rpartition('/')[2]}"


def _earlier(one_s: float | None, other_s: float | None) -> float | None:
    if one_s is None or other_s is None:
        return one_s if other_s is None else other_s
    return min(one_s, other_s)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
