"""Words that users depend on and that no signature has: values in records, kinds of problems, metrics, extras."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry

import parallelm.mcenter.engine.metrics
import parallelm.server.metrics
import parallelm.stream_processors.notifications.edge.metrics
import parallelm.stream_processors.runtime.metrics  # noqa: F401 - imported for what they register
from parallelm.agent.metrics import AgentMetrics
from parallelm.mlops._delivery import drops
from parallelm.operations import access
from parallelm.schemas import well_known
from parallelm.server import compatibility
from parallelm.server.problems import STATUS_OF, kind_of
from parallelm.sinks import SinkMetrics
from parallelm.warehouse.queries.model_quality import MEASURES, STATISTIC_PREFIX
from parallelm.warehouse.roles import role_statements
from tests.released.snapshot import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator


def words() -> dict[str, str]:
    """Values in records and names of statistics and labels that rooms agree on."""
    found = {*_texts(well_known), *_texts(drops)}
    found |= {f"{STATISTIC_PREFIX}{measure}" for measure in (*MEASURES, "known_share")}
    return dict.fromkeys(found, "word")


def _texts(module: Any) -> Iterator[str]:
    for name, value in vars(module).items():
        if not name.isupper() or name.startswith("_") or name == "TIME_BOUNDS":
            continue
        for each in value if isinstance(value, tuple | frozenset) else (value,):
            if isinstance(each, str):
                yield each


def metrics() -> dict[str, str]:
    """Kinds and labels of what services count."""
    found = {}
    registries = [
        REGISTRY,
        SinkMetrics(registry=CollectorRegistry()).registry,
        AgentMetrics(registry=CollectorRegistry()).registry,
    ]
    for registry in registries:
        for each in registry._collector_to_names:
            collector: Any = each
            name = getattr(collector, "_name", "")
            if name.startswith("mcenter_"):
                full = f"{name}_total" if collector._type == "counter" else name
                found[full] = ", ".join([collector._type, *map("by {}".format, collector._labelnames)])
    return found


def problems() -> dict[str, str]:
    """Last parts of the types of problems, which are the names of errors in words, and their statuses."""
    modules = {kind.__module__ for kind in STATUS_OF if kind.__module__.startswith("parallelm.")}
    found = {}
    for module in map(importlib.import_module, sorted(modules)):
        for each in vars(module).values():
            status = _status(each)
            if status and status < 500 and not each.__name__.startswith("_"):
                found[kind_of(each)] = str(status)
    pattern = re.compile(r'ApiProblemError\(\s*(\d+),\s*"([a-z-]+)"')
    for path in (REPOSITORY / "server" / "parallelm").rglob("*.py"):
        found |= {kind: status for status, kind in pattern.findall(path.read_text())}
    return found | {"invalid-request": "422"}


def _status(found: Any) -> int:
    line = found.__mro__ if isinstance(found, type) else ()
    return next((int(STATUS_OF[kind]) for kind in line if kind in STATUS_OF), 0)


def original_calls() -> dict[str, str]:
    """Calls of the original that the server answers beside the API."""
    found = {}
    for each in pkgutil.iter_modules(compatibility.__path__):
        module = importlib.import_module(f"{compatibility.__name__}.{each.name}")
        for route in getattr(getattr(module, "ROUTER", None), "routes", ()):
            found |= {f"{method} {route.path}": "call" for method in route.methods}
    return found


def roles() -> dict[str, str]:
    """Of users of the brokers and of ClickHouse."""
    statements = "\n".join(role_statements("mcenter", ()))
    clickhouse = re.findall(r"ROLE (?:IF NOT EXISTS )?`?(mcenter_\w+)", statements)
    return dict.fromkeys(access.ROLES, "of the brokers") | dict.fromkeys(clickhouse, "of ClickHouse")


def distribution() -> dict[str, str]:
    """The package, its commands and extras."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return (
        {project["name"]: "package"}
        | dict.fromkeys(project["scripts"], "command")
        | dict.fromkeys(project["optional-dependencies"], "extra")
    )
