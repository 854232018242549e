"""Checks of the configured cluster: can Kafka, ClickHouse, the registry and the artifact store be reached and used."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
import uuid
from base64 import b64encode
from typing import TYPE_CHECKING

from parallelm.connections import ConfigurationError, load_settings, tls
from parallelm.connections.settings import ENVIRONMENT_PREFIX, settings_file
from parallelm.mcenter.doctor.agents import agents_check
from parallelm.mcenter.doctor.check import Check, Verdict, note, ok, problem
from parallelm.mcenter.doctor.warehouse import warehouse_checks
from parallelm.mcenter.local_stack.folder import FolderLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from parallelm.connections import RegistrySettings, Settings

_SECTIONS = tuple(
    f"{ENVIRONMENT_PREFIX}{name}_" for name in ("KAFKA", "CLICKHOUSE", "SCHEMA_REGISTRY", "ARTIFACTS")
)


def cluster_checks(timeout_s: float) -> Iterator[Check]:
    """All checks of what the settings name; writes nothing but a small file in the artifact store, which it removes."""
    try:
        file = settings_file(os.environ)
        settings = load_settings()
    except ConfigurationError as error:
        yield problem("settings", "cannot be read", str(error))
        return
    variables = sorted(name for name in os.environ if name.startswith(_SECTIONS))
    if file is None and not variables:
        yield note(
            "settings",
            "no cluster is configured",
            "`mcenter up` starts one here and writes .mcenter/mcenter.toml",
        )
        return
    if file and _belongs_to_a_stopped_stack(file):
        yield note("settings", f"{file} names a local stack that does not run", "`mcenter up` starts it")
        return
    yield ok("settings", " and ".join([str(file)] * (file is not None) + variables))
    kafka = _kafka(settings, timeout_s)
    yield kafka
    if kafka.verdict is Verdict.OK:
        yield agents_check(settings, timeout_s)
    yield from warehouse_checks(settings, timeout_s)
    yield registry_check(settings.schema_registry, timeout_s)
    yield _artifacts(settings)


def _belongs_to_a_stopped_stack(file: Path) -> bool:
    return (file.parent / "run").is_dir() and FolderLock(file.parent).holder() is None


def _kafka(settings: Settings, timeout_s: float) -> Check:
    from parallelm.schemas.errors import SchemaError
    from parallelm.schemas.topic_admin import check_topics

    where = settings.kafka.bootstrap_servers
    started = time.perf_counter()
    try:
        differences = check_topics(settings, timeout_s=timeout_s)
    except SchemaError as error:
        return problem("kafka", f"{where} cannot be used", str(error))
    took_ms = (time.perf_counter() - started) * 1000
    if differences:
        return problem(
            "kafka",
            f"{where}: {len(differences)} topics differ: {differences[0]}",
            "see `mcenter topics check`",
        )
    return ok("kafka", f"{where} answers, all topics match the catalogue ({took_ms:.0f} ms)")


def registry_check(registry: RegistrySettings, timeout_s: float) -> Check:
    """Whether the schema registry answers, if one is configured."""
    if not registry.url:
        return ok("registry", "none is configured: the schemas packaged with the code are used")
    address = registry.address()
    request = urllib.request.Request(f"{address.url.rstrip('/')}/subjects")  # noqa: S310 - the operator's own setting
    if address.user:
        basic = b64encode(f"{address.user}:{address.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
    try:
        with urllib.request.urlopen(  # noqa: S310 - as above
            request, timeout=timeout_s, context=tls.trust_context()
        ) as reply:
            reply.read()
    except (OSError, ValueError) as error:
        return problem(
            "registry",
            f"{address.url} cannot be used: {error}",
            tls.remedy(error) or "check url, user and password",
        )
    return ok("registry", f"{address.url} answers")


def _artifacts(settings: Settings) -> Check:
    from parallelm.connections.artifacts import filesystem, public_artifacts_url, store_error

    where = public_artifacts_url(settings.artifacts)
    try:
        store, root = filesystem(settings.artifacts)
        probe = f"{root.rstrip('/')}/.doctor-{uuid.uuid4().hex}"
        store.makedirs(root, exist_ok=True)
        store.pipe_file(probe, b"doctor")
        store.rm_file(probe)
    except Exception as error:  # noqa: BLE001 - each of fsspec's stores raises errors of its own library
        reason = store_error(settings.artifacts, error)
        return problem(
            "artifacts",
            f"{where} cannot be written: {reason}",
            "check MCENTER_ARTIFACTS_URL and its permissions",
        )
    return ok("artifacts", f"{where} can be written")
