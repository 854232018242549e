"""What a stack consists of: its folder, services and ports; and from that its addresses, settings and processes."""

from __future__ import annotations

import dataclasses
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from parallelm.connections import (
    ArtifactSettings,
    ClickHouseSettings,
    ConfigurationError,
    KafkaSettings,
    ServerSettings,
    Settings,
    load_settings,
    save_settings,
)
from parallelm.connections.artifacts import local_path
from parallelm.connections.search import FILE_NAME, admin_file
from parallelm.mcenter.local_stack.errors import StackError
from parallelm.mcenter.local_stack.folder import ARTIFACTS
from parallelm.mcenter.local_stack.services import NOTIFIER, SERVER, SERVICES, agent_service_names
from parallelm.supervision.ports import PortClaims, choose_ports

USUAL_SERVER_PORT = 3456
"""Where ``mlops.attach()`` looks without arguments."""

SERVER_DATABASE = "server.db"
"""File of accounts and sessions."""

READER, ADMIN = "reader", "admin"
"""ClickHouse users: people, notebooks, BI tools and components read; the sink and those who ask for the admin profile also write."""

PORTS_OF = {
    "kafka": ("kafka", "kafka_controller"),
    "clickhouse": ("clickhouse", "clickhouse_http"),
    "registry": ("registry",),
    SERVER: ("server", "server_metrics"),
}
"""Ports of services that have others than one for their metrics."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. A port of None: the one of the last start, or else any free one."""

    folder: Path
    services: tuple[str, ...] = SERVICES
    kafka_port: int | None = None
    clickhouse_port: int | None = None
    clickhouse_http_port: int | None = None
    registry_port: int | None = None
    server_port: int | None = None
    notifications: Path | None = None
    """The notifier's file; None: no notifier."""
    agents: int = 0
    """Agents on this machine."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.services) - set(SERVICES))
        if unknown:
            raise StackError(f"unknown service {unknown[0]!r}; there are: {', '.join(SERVICES)}")
        missing = {"kafka", "clickhouse"} - set(self.services)
        needs = {"sink", "processors", SERVER} & set(self.services) or self.notifications or self.agents
        if missing and needs:
            raise StackError(
                "sink, processors, server, notifier and agents need kafka and clickhouse; missing: "
                f"{', '.join(sorted(missing))}"
            )

    @property
    def processes(self) -> tuple[str, ...]:
        """The services, the notifier where there is a file for it, and the agents."""
        notifier = (NOTIFIER,) if self.notifications else ()
        return (*self.services, *notifier, *agent_service_names(self.agents))

    def to_json(self) -> str:
        """As one argument of a command line."""
        notifications = str(self.notifications) if self.notifications else None
        return json.dumps(
            dataclasses.asdict(self) | {"folder": str(self.folder), "notifications": notifications}
        )

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The inverse of ``to_json``."""
        table = json.loads(text)
        table |= {"folder": Path(table["folder"]), "services": tuple(table["services"])}
        if table["notifications"]:
            table["notifications"] = Path(table["notifications"])
        return cls(**table)

    def settle_ports(self, claims: PortClaims) -> dict[str, int]:
        """Choose and claim the ports, and remember them in the folder; raises ``StackError`` when a named one is in use."""
        earlier = remembered_ports(self.folder)
        named = {
            "kafka": self.kafka_port,
            "clickhouse": self.clickhouse_port,
            "clickhouse_http": self.clickhouse_http_port,
            "registry": self.registry_port,
            SERVER: self.server_port,
        }
        wanted = {port: named.get(port) for service in self.processes for port in _ports_of(service)}
        ports = choose_ports(wanted, {SERVER: USUAL_SERVER_PORT} | earlier, claims.claim)
        (self.folder / "ports.json").write_text(json.dumps(earlier | ports, indent=1), encoding="ascii")
        return ports

    def settle_settings(self, ports: dict[str, int]) -> StackSettings:
        """Write the folder's ``mcenter.toml`` and, for the administrator, ``mcenter.admin.toml``; return what they say.

        Passwords are generated once and stay, as does what users have put into other sections.
        """
        path = settings_path(self.folder)
        settings, admin = _earlier(path), _earlier(admin_file(path))
        kafka, clickhouse = settings.kafka, settings.clickhouse
        if "kafka" in ports:
            kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{ports['kafka']}")
        if "clickhouse" in ports:
            clickhouse = ClickHouseSettings(
                port=ports["clickhouse"],
                http_port=ports["clickhouse_http"],
                user=READER,
                password=clickhouse.password or secrets.token_urlsafe(18),
            )
            password = admin.clickhouse.password or secrets.token_urlsafe(18)
            admin = dataclasses.replace(admin, clickhouse=ClickHouseSettings(user=ADMIN, password=password))
            save_settings(admin, admin_file(path))
        artifacts = dataclasses.replace(settings.artifacts, url=(self.folder / ARTIFACTS).as_uri())
        server = settings.server
        if former := _former_folder(settings.artifacts, self.folder):
            stores = [*settings.artifacts.moved_from.split(","), settings.artifacts.url]
            artifacts = dataclasses.replace(artifacts, moved_from=",".join(filter(None, stores)))
            if server.database_url == _database_url(former):
                server = dataclasses.replace(server, database_url="")
        if SERVER in ports and not server.database_url:
            _require_utf8(self.folder)
            server = dataclasses.replace(server, database_url=_database_url(self.folder))
        if SERVER in ports:
            server = _handing_on(server, clickhouse)
        settings = dataclasses.replace(
            settings, kafka=kafka, clickhouse=clickhouse, artifacts=artifacts, server=server
        )
        save_settings(settings, path)
        return StackSettings(
            load_settings({}, file=path), load_settings({}, file=path, role="admin").clickhouse
        )


def _handing_on(server: ServerSettings, clickhouse: ClickHouseSettings) -> ServerSettings:
    """With the user that reads for whoever signs in by ``mlops.attach``: ClickHouse has no roles here, one user reads everything."""
    if server.component_clickhouse_user not in {"", READER}:
        return server
    return dataclasses.replace(
        server, component_clickhouse_user=clickhouse.user, component_clickhouse_password=clickhouse.password
    )


def _former_folder(artifacts: ArtifactSettings, folder: Path) -> Path | None:
    """Where this folder was at its last start, when it was moved since."""
    store = Path(local_path(artifacts.url)) if artifacts.url.startswith("file:") else None
    return None if store is None or store == folder / ARTIFACTS else store.parent


def _database_url(folder: Path) -> str:
    return f"sqlite:///{folder / SERVER_DATABASE}"


def _ports_of(service: str) -> tuple[str, ...]:
    return PORTS_OF.get(service) or (f"{service}_metrics",)


def _require_utf8(folder: Path) -> None:
    """A URL of the server's database holds the folder's name."""
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise StackError(
            f"the name of {str(folder)!a} is not UTF-8, which the server's database needs: take another folder, or "
            "start the stack without the server"
        ) from error


@dataclass(frozen=True, slots=True)
class StackSettings:
    """What the stack's files say: to everybody, and of ClickHouse to the administrator."""

    settings: Settings
    admin_clickhouse: ClickHouseSettings


def settings_path(folder: Path) -> Path:
    """The stack's ``mcenter.toml``."""
    return folder / FILE_NAME


def _earlier(path: Path) -> Settings:
    try:
        return load_settings({}, file=path) if path.exists() else Settings()
    except ConfigurationError as error:
        raise StackError(f"{error}; correct or remove the file: `mcenter up` writes a new one") from error


def remembered_ports(folder: Path) -> dict[str, int]:
    """Ports that the folder's stack had last time."""
    try:
        found: dict[str, int] = json.loads((folder / "ports.json").read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return {}
    return found
