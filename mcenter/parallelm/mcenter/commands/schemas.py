"""``mcenter schemas``: list, check, register and serve the schemas."""

from __future__ import annotations

import json
import threading
from pathlib import Path  # noqa: TC003 - click's callback is called with it

import click

from parallelm.connections import load_settings
from parallelm.connections.secrets import without_credentials
from parallelm.mcenter.number_options import PORT_OR_ANY
from parallelm.mcenter.results import result_options, write_rows
from parallelm.mcenter.terminal import echo
from parallelm.operations.schemas import check_schemas, register_schemas
from parallelm.schemas import packaged
from parallelm.schemas.topics import CATALOGUE
from parallelm.supervision.service_frame import announce_ready, serving


@click.group()
def schemas() -> None:
    """List, check, register and serve the Avro schemas of the topics."""


@schemas.command(name="list")
@result_options
def list_(format_: str, output: Path | None) -> None:
    """List every version of every packaged schema, with its id on the wire and its subject."""
    prefix = load_settings().kafka.topic_prefix
    rows = [
        {
            "id": schema.schema_id,
            "record": schema.record,
            "version": schema.version,
            "subject": f"{prefix}{topic.subject}",
            "what": json.loads(schema.text)["doc"],
        }
        for topic in CATALOGUE
        for schema in packaged.versions(topic.record.__name__)
    ]
    write_rows(rows, format_, output)


@schemas.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Compare the schemas with all their earlier versions; exit code 1 when one breaks a consumer.

    With MCENTER_SCHEMA_REGISTRY_URL set, also compare them with the versions in that registry, and report which are not
    registered.
    """
    settings = load_settings()
    findings = check_schemas(settings)
    for finding in findings:
        echo(finding)
    if findings:
        ctx.exit(1)
    against = (
        f" and those in {without_credentials(settings.schema_registry.url)}"
        if settings.schema_registry.url
        else ""
    )
    echo(f"{len(CATALOGUE)} schemas are compatible with all their earlier versions{against}")


@schemas.command()
def register() -> None:
    """Register the schemas in the registry at MCENTER_SCHEMA_REGISTRY_URL; registered ones stay as they are."""
    settings = load_settings(role="admin")
    if not settings.schema_registry.url:
        raise click.UsageError(
            "set MCENTER_SCHEMA_REGISTRY_URL (or [schema_registry] url) to the registry first"
        )
    for subject, schema_id in register_schemas(settings).items():
        echo(f"{subject}  id {schema_id}")


@schemas.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=PORT_OR_ANY, default=8081, show_default=True, help="Port to listen on; 0 takes a free one."
)
def serve(host: str, port: int) -> None:
    """Serve the packaged schemas as a read-only, Confluent-compatible registry, for outside clients."""
    from parallelm.schemas.registry_server import RegistryServer

    try:
        server = RegistryServer(host, port, load_settings().kafka.topic_prefix)
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="schema-registry")
    with serving() as stop:
        thread.start()
        echo(f"serving {len(packaged.by_id())} schemas at http://{host}:{server.server_port}")
        announce_ready()
        stop.wait()
        server.shutdown()
        thread.join()
        server.server_close()
