"""How a component or a notebook reaches the platform: what ``mlops.attach`` asks for after it has signed in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Query, Request, Response

from parallelm.connections.artifacts import public_artifact_options, public_artifacts_url
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Name
from parallelm.server.context import context_of

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.server.access.principal import Principal

ROUTER: Final = resource("connection profile")
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")


class KafkaProfile(Answer):
    """The brokers, with the user for components. The server's own user is never handed on."""

    bootstrap_servers: str
    topic_prefix: str
    security_protocol: str
    sasl_mechanism: str
    sasl_username: str
    """Empty where none is set up, and for those who may not report, write KPIs and upload models for all MLApps: use your own."""
    sasl_password: str
    ssl_ca_pem: str
    """Certificates of the authorities that the server trusts; empty: the usual ones."""


class ClickHouseProfile(Answer):
    """ClickHouse, as a user that reads."""

    host: str
    port: int
    http_port: int
    database: str
    secure: bool
    ca_pem: str
    """As for the brokers."""
    user: str
    """Empty for those who may not read all MLApps: SQL would show them others. Empty as well where none is set up for analysts,
    but for those who may ask in SQL."""
    password: str


class RegistryProfile(Answer):
    """The schema registry; empty: the schemas packaged with the library."""

    url: str


class ArtifactsProfile(Answer):
    """The artifact store. Secrets are only those that are set up for components, never the server's own."""

    url: str
    options_json: str
    """Options of its file system, a JSON object; empty: none."""


class ConnectionProfile(Answer):
    """Settings by section, with the names of `mcenter.toml`."""

    kafka: KafkaProfile
    clickhouse: ClickHouseProfile
    schema_registry: RegistryProfile
    artifacts: ArtifactsProfile


@ROUTER.get("/connection-profile", dependencies=[Depends(require(READ, anywhere=True))])
def get_connection_profile(
    request: Request,
    response: Response,
    asking: Asking,
    mlapp_id: Annotated[Name | None, Query(description="403 unless one may read this MLApp.")] = None,
) -> ConnectionProfile:
    """Where the platform is.

    The password of a user that reads is told to those who may read all MLApps, what components report and store models with to
    those who may report, write KPIs and upload models for all of them.
    """
    if mlapp_id is not None:
        allow(asking, READ, mlapp_id)
    response.headers["Cache-Control"] = "no-store"
    settings = context_of(request).settings
    reports_all = all(map(asking.may, ("reports.write", "kpis.write", "models.upload")))
    reader, password = _reader(settings, asking)
    kafka, clickhouse, own = settings.kafka, settings.clickhouse, settings.server
    return ConnectionProfile(
        kafka=KafkaProfile(
            bootstrap_servers=kafka.bootstrap_servers,
            topic_prefix=kafka.topic_prefix,
            security_protocol=kafka.security_protocol,
            sasl_mechanism=kafka.sasl_mechanism,
            sasl_username=own.component_kafka_username if reports_all else "",
            sasl_password=own.component_kafka_password if reports_all else "",
            ssl_ca_pem=_text_of(kafka.ssl_ca_location),
        ),
        clickhouse=ClickHouseProfile(
            host=clickhouse.host,
            port=clickhouse.port,
            http_port=clickhouse.http_port,
            database=clickhouse.database,
            secure=clickhouse.secure,
            ca_pem=_text_of(clickhouse.ca_certs),
            user=reader,
            password=password,
        ),
        schema_registry=RegistryProfile(url=settings.schema_registry.address().url),
        artifacts=ArtifactsProfile(
            url=public_artifacts_url(settings.artifacts),
            options_json=(own.component_artifacts_options_json if reports_all else "")
            or public_artifact_options(settings.artifacts),
        ),
    )


def _reader(settings: Settings, asking: Principal) -> tuple[str, str]:
    """User of ClickHouse and its password for somebody: the server's own sees the audit log and dead letters, too."""
    own = settings.server
    if own.component_clickhouse_user and asking.may(READ):
        return own.component_clickhouse_user, own.component_clickhouse_password
    if asking.may("sql.read"):
        return settings.clickhouse.user, settings.clickhouse.password
    return "", ""


def _text_of(certificates: str) -> str:
    """Of a file with certificates: nothing else that may stand in it, such as a key."""
    if not certificates:
        return ""
    path = Path(certificates)
    if not path.is_file():
        return ""
    return "\n".join(_CERTIFICATE.findall(path.read_text(encoding="ascii", errors="replace")))
