"""The engine's command line, which ``python -m parallelm.mcenter.engine`` runs."""

from __future__ import annotations

import logging
import resource
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from parallelm.connections import ConfigurationError, load_settings
from parallelm.mcenter.engine import data_folder, dedup_logs, metrics
from parallelm.mcenter.engine.credentials import Credentials
from parallelm.mcenter.logs import log_as_service
from parallelm.mcenter.terminal import echo
from parallelm.supervision.service_frame import announce_ready, exit_at_once, serving

if TYPE_CHECKING:
    from parallelm.mcenter.engine.http_front import HttpServer
    from parallelm.mcenter.engine.tcp_server import NativeServer

log = logging.getLogger("parallelm.mcenter.engine")

DRAIN_TIMEOUT_S = 5.0


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Data folder.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, required=True, help="Port of the native protocol.")
@click.option("--http-port", type=int, help="Port of the HTTP interface; without it there is none.")
@click.option("--user", default="default", show_default=True)
@click.option(
    "--password",
    envvar="MCENTER_ENGINE_PASSWORD",
    default="",
    help="Better in MCENTER_ENGINE_PASSWORD, which no process list shows.",
)
@click.option("--reader-user", default="", help="A second user, with read access only.")
@click.option(
    "--reader-password",
    envvar="MCENTER_ENGINE_READER_PASSWORD",
    default="",
    help="As --password, of the second user.",
)
@click.option(
    "--memory-mbytes", type=int, default=4096, show_default=True, help="Limit of all queries together."
)
@click.option("--mark-cache-mbytes", type=int, default=64, show_default=True)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Configuration file of ClickHouse (XML) for what is not an option here: clusters, macros, Keeper.",
)
@click.option(
    "--handshake-timeout-s",
    type=float,
    default=10.0,
    show_default=True,
    help="For a client to authenticate.",
)
@click.option(
    "--tls-certificate",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Certificate of the server with those between it and its authority, in PEM: both ports speak TLS then.",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Its private key.  [default: in the same file]",
)
def main(
    data: Path,
    host: str,
    port: int,
    http_port: int | None,
    user: str,
    password: str,
    reader_user: str,
    reader_password: str,
    memory_mbytes: int,
    mark_cache_mbytes: int,
    config: Path | None,
    handshake_timeout_s: float,
    tls_certificate: Path | None,
    tls_key: Path | None,
) -> None:
    """Serve the ClickHouse engine on one data folder, until SIGTERM or Ctrl-C."""
    _allow_open_files()
    try:
        log_as_service(load_settings().log, service="engine")
    except ConfigurationError as error:
        _fail(str(error), status=2)
    try:
        data_folder.claim(data)
        metrics.REPAIRED_LINES.inc(dedup_logs.repair(data))
    except (OSError, data_folder.DataFolderError) as error:
        _fail(str(error))
    # A second to load; not before the folder is ours.
    from parallelm.mcenter.engine.engine import Engine
    from parallelm.mcenter.engine.http_front import HttpServer
    from parallelm.mcenter.engine.tcp_server import NativeServer

    engine = Engine(
        data.resolve(),
        memory_bytes=memory_mbytes << 20,
        mark_cache_bytes=mark_cache_mbytes << 20,
        config=config,
    )
    credentials = Credentials(user, password, reader_user, reader_password)
    tls = _tls_context(tls_certificate, tls_key)
    servers: list[NativeServer | HttpServer] = []
    try:
        servers.append(NativeServer(host, port, engine, credentials, handshake_timeout_s))
        if http_port is not None:
            servers.append(HttpServer(host, http_port, engine, credentials))
    except OSError as error:
        _fail(f"cannot listen on {host}, ports {port} and {http_port}: {error.strerror}")
    for server in servers:
        server.tls = tls
    with serving() as stop:
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        announce_ready()
        log.info(
            "ClickHouse %s serves %s on %s, TCP %s, HTTP %s", engine.version, data, host, port, http_port
        )
        stop.wait()
    for server in servers:
        server.shutdown()
    if not engine.drain(DRAIN_TIMEOUT_S):
        log.warning("clients that are still answered after %g s are cut off", DRAIN_TIMEOUT_S)
    log.info("stopped")
    # Clients' threads may be inside the engine, and its folder needs no orderly end: it is not unloaded.
    exit_at_once(0)


def _tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        _fail(f"certificate {certificate} cannot be loaded: {error}", status=2)
    return context


def _allow_open_files() -> None:
    """Parts and clients need more files than the usual 1024, and running out of them looks like a broken disk."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _fail(message: str, *, status: int = 1) -> None:
    echo(f"engine: {message}", err=True)
    exit_at_once(status)
