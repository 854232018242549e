"""How a component or a notebook reaches the platform: what ``mlops.attach`` asks for after it has signed in."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request, Response

from parallelm.connections.artifacts import public_artifacts_url
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Name
from parallelm.server.context import context_of

ROUTER: Final = resource("connection profile")


class KafkaProfile(Answer):
    """The brokers. Rights of the server itself are not handed on: where the brokers ask for a user, it is one's own."""

    bootstrap_servers: str
    topic_prefix: str
    security_protocol: str
    sasl_mechanism: str


class ClickHouseProfile(Answer):
    """ClickHouse, as the user that reads."""

    host: str
    port: int
    http_port: int
    database: str
    secure: bool
    user: str
    """Empty for those who may not read all MLApps: SQL would show them others."""
    password: str


class RegistryProfile(Answer):
    """The schema registry; empty: the schemas packaged with the library."""

    url: str


class ArtifactsProfile(Answer):
    """The artifact store, without secrets."""

    url: str


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
    """Where the platform is. The password of the user that reads is told to those who may read all MLApps."""
    if mlapp_id is not None:
        allow(asking, READ, mlapp_id)
    response.headers["Cache-Control"] = "no-store"
    settings = context_of(request).settings
    reads_all = asking.may(READ)
    clickhouse = _section(ClickHouseProfile, settings.clickhouse)
    secrets = {"user": settings.clickhouse.user, "password": settings.clickhouse.password}
    return ConnectionProfile(
        kafka=KafkaProfile.model_validate(_section(KafkaProfile, settings.kafka)),
        clickhouse=ClickHouseProfile.model_validate(
            clickhouse | (secrets if reads_all else dict.fromkeys(secrets, ""))
        ),
        schema_registry=RegistryProfile(url=settings.schema_registry.address().url),
        artifacts=ArtifactsProfile(url=public_artifacts_url(settings.artifacts)),
    )


def _section(model: type[Answer], section: Any) -> dict[str, Any]:
    return {name: getattr(section, name) for name in model.model_fields}
