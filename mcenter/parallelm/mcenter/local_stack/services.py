"""What the stack runs: the command of each service, what it waits for, and how one knows that it is ready."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.mcenter.local_stack import kafka_broker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from parallelm.connections import Settings

SERVICES = ("kafka", "clickhouse", "registry", "sink", "processors")
"""Every service, in the order in which they start and against which they stop."""

PREPARE = "prepare"
"""The step between: creates the topics and migrates the warehouse, then ends."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the stack."""

    name: str
    command: Sequence[str]
    needs: tuple[str, ...] = ()
    """Names of those that must be ready first."""
    port: int | None = None
    metrics_port: int | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    probe: Callable[[], bool] | None = None
    """Asks whether it is ready and healthy; None: the ready file tells."""
    ends: bool = False
    """Runs once and ends, as opposed to running until it is stopped."""
    ready_timeout_s: float = 60.0

    @property
    def address(self) -> str:
        """Where it listens, or an empty string."""
        return f"127.0.0.1:{self.port}" if self.port else ""


def services(
    names: tuple[str, ...], folder: Path, ports: Mapping[str, int], settings: Settings, jars: Path | None
) -> list[Service]:
    """The services of ``names`` in the order in which they start."""
    found: list[Service] = []
    if "kafka" in names and jars:
        found.append(_kafka(folder, ports, jars))
    if "clickhouse" in names:
        found.append(_clickhouse(folder, ports, settings))
    if "registry" in names:
        port = ports["registry"]
        found.append(
            _python(
                folder, "registry", "parallelm.mcenter", "schemas", "serve", "--port", str(port), port=port
            )
        )
    workers = [name for name in names if name in {"sink", "processors"}]
    if workers:
        stores = tuple(name for name in ("kafka", "clickhouse") if name in names)
        found.append(
            _python(folder, PREPARE, "parallelm.mcenter.local_stack.prepare", needs=stores, ends=True)
        )
    found += [
        _python(
            folder, name, "parallelm.mcenter", name, needs=(PREPARE,), metrics_port=ports[f"{name}_metrics"]
        )
        for name in workers
    ]
    return found


def _kafka(folder: Path, ports: Mapping[str, int], jars: Path) -> Service:
    port = ports["kafka"]
    data, properties = folder / "kafka", folder / "run" / "kafka.properties"
    kafka_broker.write_properties(
        properties, kafka_broker.server_properties(data, port, ports["kafka_controller"])
    )
    kafka_broker.format_storage(jars, properties, data)
    return Service(
        "kafka",
        kafka_broker.broker_command(jars, properties),
        port=port,
        probe=lambda: kafka_broker.answers(port),
    )


def _clickhouse(folder: Path, ports: Mapping[str, int], settings: Settings) -> Service:
    clickhouse = settings.clickhouse
    arguments = (
        "--data", str(folder / "clickhouse"),
        "--port", str(ports["clickhouse"]),
        "--http-port", str(ports["clickhouse_http"]),
        "--user", clickhouse.user,
        "--password", clickhouse.password,
    )  # fmt: skip
    return _python(folder, "clickhouse", "parallelm.mcenter.engine", *arguments, port=ports["clickhouse"])


def _python(
    folder: Path,
    name: str,
    module: str,
    *arguments: str,
    needs: tuple[str, ...] = (),
    port: int | None = None,
    metrics_port: int | None = None,
    ends: bool = False,
) -> Service:
    environ = {
        "MCENTER_CONFIG": str(folder / "mcenter.toml"),
        "MCENTER_READY_FILE": str(ready_file(folder, name)),
        "PYTHONUNBUFFERED": "1",
    }
    if metrics_port:
        environ["MCENTER_METRICS_PORT"] = str(metrics_port)
    command = (sys.executable, "-m", module, *arguments)
    return Service(name, command, needs, port, metrics_port, environ, ends=ends)


def ready_file(folder: Path, name: str) -> Path:
    """File that a service touches once it is ready."""
    return folder / "run" / f"{name}.ready"


def inherited_environment() -> dict[str, str]:
    """This process's environment without its connection settings: the stack's own file decides where they connect."""
    sections = ("KAFKA", "CLICKHOUSE", "SCHEMA_REGISTRY", "ARTIFACTS")
    ours = tuple(f"MCENTER_{section}_" for section in sections)
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
