"""``mcenter topics``: create, list and check the topics, and who may use them."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - click's callback is called with it
from typing import TYPE_CHECKING

import click

from parallelm.connections import load_settings
from parallelm.mcenter.number_options import TIMEOUT_S
from parallelm.mcenter.results import result_options, write_rows
from parallelm.mcenter.tables import as_table
from parallelm.mcenter.terminal import echo, echo_lines
from parallelm.operations.access import ROLES, grant, kafka_acls_lines, rights_of
from parallelm.schemas import topic_admin

if TYPE_CHECKING:
    from parallelm.operations.access import Role

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

_timeout = click.option(
    "--timeout",
    "timeout_s",
    type=TIMEOUT_S,
    default=30.0,
    show_default=True,
    help="Seconds to wait for the brokers.",
)


@click.group()
def topics() -> None:
    """Create, list and check the platform's topics, and who may use them."""


@topics.command()
@_timeout
def create(timeout_s: float) -> None:
    """Create the topics that are missing, as the catalogue defines them.

    Topics that exist are left as they are; `mcenter topics check` shows how they differ.
    """
    created = topic_admin.create_topics(load_settings(role="admin"), timeout_s=timeout_s)
    for name in created:
        echo(f"created {name}")
    if not created:
        echo("all topics exist")


@topics.command(name="list")
@result_options
@_timeout
def list_(timeout_s: float, format_: str, output: Path | None) -> None:
    """List the topics: the record and key of each, its retention, and what the cluster holds."""
    rows = [
        {
            "topic": live.name,
            "record": live.topic.record.__name__,
            "key": live.topic.keyed_by.name,
            "partitions": live.partitions,
            "retention": _retention(live.topic.retention_ms),
            "cleanup": "compact" if live.topic.compacted else "delete",
            "records": live.records,
        }
        for live in topic_admin.list_topics(load_settings(), timeout_s=timeout_s)
    ]
    write_rows(rows, format_, output)
    if any(not row["partitions"] for row in rows):
        echo("topics with 0 partitions are missing: run `mcenter topics create`", err=True)


@topics.command()
@_timeout
@click.pass_context
def check(ctx: click.Context, timeout_s: float) -> None:
    """Show how the cluster's topics differ from the catalogue; exit code 1 when they do."""
    differences = topic_admin.check_topics(load_settings(), timeout_s=timeout_s)
    for difference in differences:
        echo(str(difference))
    if differences:
        ctx.exit(1)
    echo("all topics are as the catalogue defines them")


@topics.command()
@click.option(
    "--grant", "grants", multiple=True, metavar="ROLE=PRINCIPAL",
    help="Give a Kafka principal, such as User:trainer, the rights of a role. May be given several times.",
)  # fmt: skip
@click.option(
    "--script", is_flag=True, help="Change nothing: print the same as commands of Kafka's own kafka-acls.sh."
)
@_timeout
def acls(grants: tuple[str, ...], timeout_s: float, *, script: bool) -> None:
    """Show the least rights of each role on Kafka, or grant them to users of the cluster.

    Granting needs the admin profile with a user who may change the cluster's access control lists.
    """
    settings = load_settings(role="admin")
    for role, principal in map(_role_and_principal, grants):
        if script:
            servers = settings.kafka.bootstrap_servers
            echo_lines("\n".join(kafka_acls_lines(role, principal, settings.kafka.topic_prefix, servers)))
        else:
            rights = grant(settings, role, principal, timeout_s=timeout_s)
            echo(f"{principal} has the role {role.name}: {len(rights)} rights")
    if not grants:
        echo_lines(as_table([
            {
                "role": role.name,
                "who": role.who,
                "kind": right.kind.lower().replace("_", " "),
                "name": f"{right.name}*" if right.is_prefix else right.name,
                "operations": ", ".join(right.operations).lower(),
            }
            for role in ROLES.values()
            for right in rights_of(role, settings.kafka.topic_prefix)
        ]))  # fmt: skip


def _role_and_principal(text: str) -> tuple[Role, str]:
    name, _, principal = text.partition("=")
    if name not in ROLES or ":" not in principal:
        raise click.BadParameter(
            f"{text!r} is not ROLE=PRINCIPAL with a role of {', '.join(ROLES)} and a principal such as User:trainer",
            param_hint="--grant",
        )
    return ROLES[name], principal


def _retention(retention_ms: int) -> str:
    if retention_ms < 0:
        return "indefinitely"
    if retention_ms % _DAY_MS:
        return f"{retention_ms / _HOUR_MS:g} h"
    return f"{retention_ms // _DAY_MS} d"
