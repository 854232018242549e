"""What the stack runs: the command of each service, what it waits for, and when it is ready."""

from __future__ import annotations

import dataclasses
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from parallelm.mcenter.local_stack import kafka_broker
from parallelm.mcenter.local_stack.kafka_jars import cache_folder, class_cache
from parallelm.mcenter.local_stack.kafka_probe import kafka_answers
from parallelm.supervision.health import LIVE
from parallelm.supervision.probes import http_answers, metric_is_at_most
from parallelm.supervision.service import Service
from parallelm.supervision.service_frame import METRICS_HOST, METRICS_PORT, READY_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.mcenter.local_stack.plan import StackSettings

SERVICES = ("kafka", "clickhouse", "registry", "sink", "processors", "server")
"""Every service, in the order in which they start and in the reverse of which they stop."""

_SAME_INSTANCE = ("--instance-id", "local-stack")
_SOON = (*_SAME_INSTANCE, "--session-timeout-s", "3")
# An insert has to end within the session time-out, so the sink's is not as short.
_ARGUMENTS = {"processors": _SOON, "notifier": _SOON, "sink": _SAME_INSTANCE}
"""The supervisor starts a worker again once its predecessor has ended: it gets the same partitions back at once."""

NOTIFIER = "notifier"
"""The service that runs only with a file of notifications."""

SERVER = "server"

LOCAL_AGENT = "local"
"""Name of the stack's agent; of several ``local-1``, ``local-2`` …"""
_AGENT_SERVICE = "agent-"

PROGRESS_LIMIT_S = 60.0
"""Processors without progress for so long are unhealthy, and started again if that lasts."""

PREPARE = "prepare"
"""The step between: creates the topics and migrates the warehouse, then ends."""


def services(
    names: tuple[str, ...],
    folder: Path,
    ports: Mapping[str, int],
    settings: StackSettings,
    jars: Path | None,
    notifications: Path | None = None,
    agents: int = 0,
) -> list[Service]:
    """The services of ``names`` in the order in which they start, the notifier where there is a file for it, and agents."""
    found: list[Service] = []
    if "kafka" in names and jars:
        found += _kafka(folder, ports, jars)
    if "clickhouse" in names:
        found.append(_clickhouse(folder, ports, settings))
    if "registry" in names:
        found.append(_registry(folder, ports["registry"]))
    workers = [name for name in names if name in {"sink", "processors"}]
    if workers or notifications or agents or SERVER in names:
        found.append(_prepare(folder))
    found += [_worker(folder, name, ports[f"{name}_metrics"]) for name in workers]
    if notifications:
        file = ("--file", str(notifications))
        found.append(_worker(folder, NOTIFIER, ports[f"{NOTIFIER}_metrics"], *file))
    if SERVER in names:
        at = ("--port", str(ports[SERVER]))
        server = _worker(folder, SERVER, ports["server_metrics"], *at, port=ports[SERVER])
        found.append(_knowing(server, notifications))
    found += [_agent(folder, name, ports[f"{name}_metrics"]) for name in agent_service_names(agents)]
    if "kafka" in names and os.access(cache_folder(), os.W_OK) and not class_cache(cache_folder()).exists():
        found.append(_kafka_training(folder, tuple(service.name for service in found)))
    return found


def agent_service_names(count: int) -> tuple[str, ...]:
    """Names of the services that are the stack's agents."""
    if count == 1:
        return (f"{_AGENT_SERVICE}{LOCAL_AGENT}",)
    return tuple(f"{_AGENT_SERVICE}{LOCAL_AGENT}-{number}" for number in range(1, count + 1))


def _agent(folder: Path, name: str, metrics_port: int) -> Service:
    """An agent whose runs end with the stack."""
    agent = name.removeprefix(_AGENT_SERVICE)
    where = ("--name", agent, "--data", str(folder / "agents" / agent), "--runs-end-with-parent")
    return _python(
        folder,
        name,
        *("parallelm.mcenter", "agent", *where),
        environ={METRICS_PORT: str(metrics_port)},
        needs=(PREPARE,),
        metrics_port=metrics_port,
        probe=lambda: http_answers(metrics_port, LIVE),
    )


def _knowing(server: Service, notifications: Path | None) -> Service:
    """The server, which shows the notifier's routes where there is a notifier."""
    if notifications is None:
        return server
    environ = {**server.environ, "MCENTER_SERVER_NOTIFICATIONS_FILE": str(notifications)}
    return dataclasses.replace(server, environ=environ)


def _kafka(folder: Path, ports: Mapping[str, int], jars: Path) -> list[Service]:
    port, data = ports["kafka"], kafka_broker.path_for_kafka(folder, "kafka")
    properties = kafka_broker.path_for_kafka(folder, "run", "kafka.properties")
    kafka_broker.write_properties(
        folder / "run" / "kafka.properties",
        kafka_broker.server_properties(data, port, ports["kafka_controller"]),
    )
    in_folder = partial(Service, folder=folder, environ=kafka_broker.JAVA_ENVIRONMENT)
    command = kafka_broker.broker_command(jars, properties, class_cache(cache_folder()))
    broker = in_folder("kafka", command, port=port, probe=lambda: kafka_answers(port))
    if kafka_broker.is_formatted(folder / "kafka"):
        return [broker]
    formatting = in_folder("kafka-format", kafka_broker.format_command(jars, properties), ends=True)
    return [formatting, dataclasses.replace(broker, needs=(formatting.name,))]


def _kafka_training(folder: Path, others: tuple[str, ...]) -> Service:
    module, output = "parallelm.mcenter.local_stack.kafka_training", str(class_cache(cache_folder()))
    return _python(folder, "kafka-training", module, output, needs=others, ends=True, background=True)


def _clickhouse(folder: Path, ports: Mapping[str, int], settings: StackSettings) -> Service:
    admin, reader = settings.admin_clickhouse, settings.settings.clickhouse
    port, http_port = ports["clickhouse"], ports["clickhouse_http"]
    where = ("--data", str(folder / "clickhouse"), "--port", str(port), "--http-port", str(http_port))
    return _python(
        folder,
        "clickhouse",
        *("parallelm.mcenter.engine", *where, "--user", admin.user, "--reader-user", reader.user),
        # In the environment: everybody on the machine can read a command line.
        environ={
            "MCENTER_ENGINE_PASSWORD": admin.password,
            "MCENTER_ENGINE_READER_PASSWORD": reader.password,
        },
        port=port,
        probe=lambda: http_answers(http_port, "/ping"),
    )


def _registry(folder: Path, port: int) -> Service:
    arguments = ("parallelm.mcenter", "schemas", "serve", "--port", str(port))
    return _python(folder, "registry", *arguments, port=port, probe=lambda: http_answers(port, "/"))


def _prepare(folder: Path) -> Service:
    return _python(
        folder, PREPARE, "parallelm.mcenter.local_stack.prepare", needs=("kafka", "clickhouse"), ends=True
    )


def _worker(folder: Path, name: str, metrics_port: int, *arguments: str, port: int | None = None) -> Service:
    return _python(
        folder,
        name,
        *("parallelm.mcenter", name, *_ARGUMENTS.get(name, ()), *arguments),
        environ={METRICS_PORT: str(metrics_port)},
        needs=(PREPARE,),
        port=port,
        metrics_port=metrics_port,
        probe=lambda: _worker_answers(name, metrics_port),
    )


def _worker_answers(name: str, metrics_port: int) -> bool:
    """Whether it answers, and the processors also get on with their work."""
    if name == "processors":
        return metric_is_at_most(metrics_port, "mcenter_processors_progress_age_seconds", PROGRESS_LIMIT_S)
    return http_answers(metrics_port, LIVE)


def _python(
    folder: Path, name: str, *arguments: str, environ: Mapping[str, str] | None = None, **fields: Any
) -> Service:
    ready = folder / "run" / f"{name}.ready"
    common = {
        "MCENTER_CONFIG": str(folder / "mcenter.toml"),
        READY_FILE: str(ready),
        "PYTHONUNBUFFERED": "1",
        "MCENTER_LOG_FORMAT": "text",
    }
    command = (sys.executable, "-m", *arguments)
    return Service(
        name, command, environ=common | dict(environ or {}), ready_file=ready, holds_signals=True, **fields
    )


def inherited_environment() -> dict[str, str]:
    """This process's environment without what concerns itself and its connections, which the stack's own file names."""
    sections = ("KAFKA", "CLICKHOUSE", "SCHEMA_REGISTRY", "ARTIFACTS")
    ours = (READY_FILE, METRICS_PORT, METRICS_HOST, *(f"MCENTER_{section}_" for section in sections))
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
