"""The thread that registers the agent and then reads what comes for it: commands, and states under its name.

It only reads; everything is decided and stored by the agent's main thread, which takes what it has found from ``taken``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.agent.errors import AgentError
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.topic_admin import transient_codes
from parallelm.schemas.topic_reader import reader_config
from parallelm.schemas.topics import AGENT_COMMANDS, AGENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.agent.service.registration import Position, Registered, Registration
    from parallelm.connections import Settings

_LOG = logging.getLogger(__name__)
_AGAIN_S = 1.0
_MOST_WAITING = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A record for this agent."""

    is_command: bool
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The thread has ended: the agent cannot go on."""

    error: Exception


class Reader(threading.Thread):
    """Registers, waits for ``go_on``, reads until ``end``. ``fileno`` is readable when there is something to take."""

    def __init__(
        self,
        settings: Settings,
        registration: Registration,
        known: tuple[int, Position | None],
        now_ms: Callable[[], int],
    ) -> None:
        super().__init__(name="agent-commands", daemon=True)
        self._settings = settings
        self._registration = registration
        self._known = known
        self._now_ms = now_ms
        self._found: deque[Registered | Found | Failed] = deque()
        self._goes_on, self._ends = threading.Event(), threading.Event()
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        self.problem = ""
        """Why it is not registered yet."""
        self.backlog = 0
        """Commands that the agent has taken and cannot carry out yet; it says so."""
        self._is_paused = False

    def fileno(self) -> int:
        """For ``select``."""
        return self._read_end

    def taken(self) -> list[Registered | Found | Failed]:
        """What was found since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read_end, 65_536)
        return [self._found.popleft() for _ in range(len(self._found))]

    def go_on(self) -> None:
        """The registration is stored: read."""
        self._goes_on.set()

    def end(self) -> None:
        """Read no more; returns once the thread has ended, or after two seconds: it may wait for brokers that are away."""
        if not self._ends.is_set():
            self._ends.set()
            self._goes_on.set()
            self.join(2)

    def run(self) -> None:
        """The thread."""
        try:
            registered = self._register()
            if registered is None:
                return
            self._put(registered)
            self._goes_on.wait()
            self._read(registered)
        except Exception as error:  # noqa: BLE001 - the main thread ends with it
            self._put(Failed(error))

    def _register(self) -> Registered | None:
        while not self._ends.is_set():
            try:
                return self._registration.register(
                    *self._known, self._now_ms, lambda timeout_s: not self._ends.wait(timeout_s)
                )
            except SchemaError as error:
                if str(error) != self.problem:
                    _LOG.warning("not registered yet: %s", error)
                self.problem = str(error)
                self._ends.wait(_AGAIN_S)
        return None

    def _read(self, registered: Registered) -> None:
        from confluent_kafka import Consumer, TopicPartition

        prefix, partition = self._settings.kafka.topic_prefix, self._registration.partition
        commands = AGENT_COMMANDS.full_name(prefix)
        consumer = Consumer(reader_config(self._settings.kafka, "mcenter-agent"))
        try:
            consumer.assign(
                [
                    TopicPartition(commands, partition, registered.commands.offset),
                    TopicPartition(AGENTS.full_name(prefix), partition, registered.states_from),
                ]
            )
            while not self._ends.is_set():
                self._pace(consumer, TopicPartition(commands, partition))
                message = consumer.poll(0.2)
                if message is not None:
                    self._take(message, commands)
                while len(self._found) > _MOST_WAITING and not self._ends.wait(0.05):
                    pass
        finally:
            consumer.close()

    def _pace(self, consumer: Any, commands: Any) -> None:
        """Leave commands with the brokers while the agent has enough of them; states under its name are read on."""
        is_full = self.backlog > _MOST_WAITING
        if is_full != self._is_paused:
            (consumer.pause if is_full else consumer.resume)([commands])
            self._is_paused = is_full

    def _take(self, message: Any, commands: str) -> None:
        from confluent_kafka import KafkaError

        error = message.error()
        if error is None:
            if message.key() == self._registration.key and message.value() is not None:
                self._put(Found(message.topic() == commands, message.offset(), message.value()))
        elif error.code() != KafkaError._PARTITION_EOF and error.code() not in transient_codes():  # noqa: SLF001 - public
            raise AgentError(f"commands cannot be read: {error.str()}")

    def _put(self, found: Registered | Found | Failed) -> None:
        self._found.append(found)
        with contextlib.suppress(BlockingIOError):  # it is readable already
            os.write(self._write_end, b"\0")
