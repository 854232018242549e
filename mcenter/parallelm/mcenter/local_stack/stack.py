"""``LocalStack``: real Kafka, ClickHouse and services on this machine, for ``mcenter up``, the demo and the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from parallelm.connections import Settings, load_settings
from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.folder import FolderLock, open_folder, stamp
from parallelm.mcenter.local_stack.kafka_jars import cache_folder, ensure_kafka
from parallelm.mcenter.local_stack.plan import Plan, settings_path
from parallelm.mcenter.local_stack.services import SERVICES, inherited_environment, services
from parallelm.mcenter.local_stack.state import load_state, state_path
from parallelm.supervision.errors import SupervisionError
from parallelm.supervision.identity import is_alive
from parallelm.supervision.ports import PortClaims
from parallelm.supervision.service_frame import signals_held
from parallelm.supervision.supervisor import Files, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from parallelm.supervision.service_frame import Stop
    from parallelm.supervision.state import SupervisorState
    from parallelm.supervision.supervisor import Output

START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 90.0
_POLL_S = 0.05


def run_stack(plan: Plan, output: Output, stop: Stop, on_ready: Callable[[], None]) -> None:
    """Be the supervisor of a stack until ``stop`` is set. Only on the main thread of a dedicated process.

    Raises ``StackError`` when it cannot start: folder, version, lock, ports, or a service that does not come up.
    """
    open_folder(plan.folder)
    lock = FolderLock(plan.folder)
    lock.acquire()
    try:
        with PortClaims() as claims:
            stamp(plan.folder)
            jars = ensure_kafka(cache_folder()) if "kafka" in plan.services else None
            ports = plan.settle_ports(claims)
            found = services(
                plan.services,
                plan.folder,
                ports,
                plan.settle_settings(ports),
                jars,
                plan.notifications,
                plan.agents,
            )
            files = Files(
                working_folder=plan.folder.parent, logs=plan.folder / "logs", state=state_path(plan.folder)
            )
            Supervisor(found, files, inherited_environment(), output).run(stop, on_ready)
    except SupervisionError as error:
        raise StackError(str(error)) from error
    finally:
        lock.release()


class LocalStack:
    """A stack that lives as long as a ``with`` block, or detached from this process.

    ``with LocalStack(folder) as stack: connect(stack.settings)``. Its supervisor is a separate process, so that the
    program around it may have threads and forks; the supervisor stops the stack when the *thread* that started it
    ends. All errors are ``StackError``.
    """

    def __init__(
        self,
        folder: Path,
        services: tuple[str, ...] = SERVICES,
        *,
        kafka_port: int | None = None,
        clickhouse_port: int | None = None,
        clickhouse_http_port: int | None = None,
        registry_port: int | None = None,
        server_port: int | None = None,
        notifications: Path | None = None,
        agents: int = 0,
    ) -> None:
        self.plan = Plan(
            folder.absolute(),
            services,
            kafka_port,
            clickhouse_port,
            clickhouse_http_port,
            registry_port,
            server_port,
            notifications.absolute() if notifications else None,
            agents,
        )
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        """Addresses of the running stack, and the read-only user."""
        return load_settings({}, file=settings_path(self.plan.folder))

    @property
    def admin_settings(self) -> Settings:
        """The same with the administrator."""
        return load_settings({}, file=settings_path(self.plan.folder), role="admin")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, detached: bool = False, progress: Callable[[int, int], None] | None = None) -> None:
        """Start the supervisor and wait until every service is ready. ``progress`` is ``ensure_kafka``'s."""
        folder = self.plan.folder
        self.fetch(progress)
        state_path(folder).unlink(missing_ok=True)
        parent = "0" if detached else str(os.getpid())
        with (folder / "logs" / "supervisor.err").open("wb") as log, signals_held():
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "parallelm.mcenter.local_stack", parent, self.plan.to_json()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._supervisor)
        except BaseException:
            self.stop()
            raise
        if detached:
            self._supervisor.returncode = 0  # not our child to wait for
            self._supervisor = None

    def fetch(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Do what needs no process: check folder and lock, fetch Kafka when it is not in the cache yet."""
        open_folder(self.plan.folder)
        FolderLock(self.plan.folder).check()
        if "kafka" in self.plan.services:
            ensure_kafka(cache_folder(), progress)

    def stop(self) -> None:
        """Stop everything in order and wait for its end."""
        if self._supervisor is None:
            return
        supervisor, self._supervisor = self._supervisor, None
        supervisor.send_signal(signal.SIGTERM)
        try:
            supervisor.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            supervisor.kill()  # and with it, by the kernel, all its processes
            supervisor.wait()
            raise StackError(
                f"the stack did not stop within {STOP_TIMEOUT_S:.0f} s and was killed"
            ) from error

    def _wait_until_ready(self, supervisor: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            state = load_state(self.plan.folder)
            if state and state.pid == supervisor.pid and state.ready:
                return
            if supervisor.poll() is not None:
                raise StackError(self._reason(state))
            time.sleep(_POLL_S)
        raise StackError(
            f"the stack was not ready within {START_TIMEOUT_S:.0f} s; see {self.plan.folder}/logs"
        )

    def _reason(self, state: SupervisorState | None) -> str:
        if state and state.error:
            return state.error
        log = self.plan.folder / "logs" / "supervisor.err"
        return (
            log.read_text(encoding="utf-8", errors="replace").strip()[-3000:] or "the supervisor was killed"
        )


def stop_detached(folder: Path) -> bool:
    """Stop the stack of ``folder``, whoever started it, and wait for its end; False when none runs."""
    lock = FolderLock(folder)
    pid = lock.holder()
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while is_alive(pid):
        if time.monotonic() > deadline:
            raise StackError(f"the stack of pid {pid} has not ended within {STOP_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)
    return True
