"""The settings as dataclasses, one a section: names, types and defaults. ``settings`` reads and checks them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, cast

from parallelm.connections.secrets import credentials_of, mask_text, without_credentials


def secret(default: str = "") -> Any:
    """Field that is never shown: not in ``repr``, not in messages, not in logs."""
    return field(default=default, repr=False)


class _ShownWithoutSecrets:
    """``repr`` of settings: no secret fields, and no passwords in URLs and addresses."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = (
            f"{entry.name}={_shown(getattr(self, entry.name))}"
            for entry in dataclasses.fields(cast("Any", self))
            if entry.repr
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(value: object) -> str:
    return repr(mask_text(value)) if isinstance(value, str) else repr(value)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KafkaSettings(_ShownWithoutSecrets):
    """How to reach the brokers. Names follow librdkafka's."""

    bootstrap_servers: str = "127.0.0.1:9092"
    topic_prefix: str = "mlops."
    security_protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = secret()
    ssl_ca_location: str = ""
    ssl_certificate_location: str = ""
    ssl_key_location: str = ""
    ssl_key_password: str = secret()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClickHouseSettings(_ShownWithoutSecrets):
    """How to reach ClickHouse over its native protocol, and over HTTP for tools that want it."""

    host: str = "127.0.0.1"
    port: int = 9000
    http_port: int = 8123
    user: str = "default"
    password: str = secret()
    database: str = "mcenter"
    secure: bool = False
    ca_certs: str = ""
    cluster: str = ""
    """Cluster name; when set, migrations run ``ON CLUSTER`` with Replicated engines."""
    shards: str = ""
    """Shards and the hosts of each, for the sinks: ``a = host-a1, host-a2; b = host-b1``. Empty: one server."""
    shards_version: int = 1
    """Version of this map: raise it with every change."""
    connect_timeout_s: float = 5.0
    query_timeout_s: float = 60.0
    read_only: bool = field(default=False, compare=False, metadata={"is_setting": False})
    """Clients change nothing, whatever the user may do. Set by ``load_settings`` for the role, never by a file."""
    is_pooled: bool = field(default=False, compare=False, metadata={"is_setting": False})
    """Connections are used again, see ``clickhouse_pool``."""
    known_at_ms: int | None = field(default=None, compare=False, metadata={"is_setting": False})
    """Questions find only what had arrived by then, see ``as_known_at`` of the warehouse's queries; None: everything."""
    alt_hosts: str = field(default="", compare=False, metadata={"is_setting": False})
    """Hosts to try when ``host`` does not answer: of one shard, see ``shards``."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RegistrySettings(_ShownWithoutSecrets):
    """Schema registry; with an empty URL the schemas packaged with the code are used."""

    url: str = ""
    user: str = ""
    password: str = secret()
    timeout_s: float = 10.0

    def address(self) -> RegistrySettings:
        """The same with user and password of the URL, where it has them, in their own fields."""
        user, password = credentials_of(self.url)
        url = without_credentials(self.url)
        if url == self.url:
            return self
        return dataclasses.replace(self, url=url, user=self.user or user, password=self.password or password)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ArtifactSettings(_ShownWithoutSecrets):
    """Where model files lie: any fsspec URL."""

    url: str = ""
    """For example ``s3://bucket/models``; empty: the folder of the local stack, ``.mcenter/artifacts``."""
    moved_from: str = ""
    """Former URLs of the store, with commas between: what was announced below one of them is looked for below ``url``."""
    options_json: str = secret()
    """Options of the fsspec file system, as a JSON object."""
    signing_key: str = secret()
    """Private key (PEM) by which published models are signed; empty: they are not."""
    trusted_keys: str = ""
    """Ids of keys, with commas between; a model is downloaded only when one of them has signed it. Empty: any model."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CapturesSettings(_ShownWithoutSecrets):
    """Where timeline captures are stored, and for how long."""

    url: str = ""
    """Any fsspec URL, opened with the options of the artifact store; empty: its folder ``captures``."""
    keep_days: int = 365
    """Days for which a capture is kept after it was taken; 0: for ever."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ComponentSettings(_ShownWithoutSecrets):
    """How the component library behaves inside its host program."""

    flush_interval_ms: int = 100
    linger_ms: int = 10
    queue_max_samples: int = 1_000_000
    """Bound of the queue between callers and the sender thread; further reports are dropped and counted."""
    queue_max_kbytes: int = 32_768
    """librdkafka's own queue (``queue.buffering.max.kbytes``)."""
    close_timeout_s: float = 2.0
    """What ``done()`` and interpreter exit wait at most when the broker is away."""
    upload_timeout_s: float = 60.0
    """What ``done()`` waits for model uploads while the broker is up."""
    query_timeout_s: float = 5.0
    """Time limit of every ``get_…`` call."""
    outbox_folder: str = ""
    """Where published models wait for upload; empty: ``~/.mcenter/outbox``."""
    spool_folder: str = ""
    """Folder on disk that records pass on their way, so that they outlive the process; empty: no spool."""
    spool_max_mbytes: int = 256
    """Bound of all files in ``spool_folder``, of all processes that share it."""
    predictions_share: float = 1.0
    """Share of predictions that ``mlops.predictions`` reports; which ones follows from their ids."""
    predictions_leave_out: str = ""
    """Features that are not reported, with commas."""
    predictions_hash: str = ""
    """Features of which a hash is reported, with commas: equal values stay equal."""
    predictions_hash_key: str = secret()
    """Key of these hashes; without one, a value that can be guessed can be recognised."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LogSettings(_ShownWithoutSecrets):
    """What services log on their standard error, and how."""

    level: str = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    format: str = "auto"
    """``json``: a JSON object a line; ``text``: for people; ``auto``: text on a terminal, else JSON."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RetentionSettings(_ShownWithoutSecrets):
    """Days for which the warehouse keeps rows after they have arrived, by class of data; 0: for ever."""

    statistics_days: int = 730
    statistics_by_day_days: int = 3650
    structured_statistics_days: int = 730
    predictions_days: int = 730
    events_days: int = 1825
    kpis_days: int = 0
    decisions_days: int = 0
    """Transitions of alerts, actions and notifications. Answers to dead letters are actions: 32 days longer than ``dead_letters_days``, or 0."""
    agents_days: int = 365
    runs_days: int = 730
    logs_days: int = 30
    """Lines that programs write while agents run them."""
    dead_letters_days: int = 90
    ingested_blocks_days: int = 30
    """Log of the sinks, a row a block."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerSettings(_ShownWithoutSecrets):
    """The server with pages and REST API."""

    host: str = "127.0.0.1"
    """Address that it listens on."""
    port: int = 0
    """0: 3456 when that is free, else any."""
    path_prefix: str = ""
    """Path below which a proxy shows it, such as ``/mcenter``."""
    database_url: str = secret()
    """SQLAlchemy URL of accounts and sessions; empty: SQLite in ``.mcenter/server.db``."""
    public_url: str = ""
    """Address by which browsers reach it where a proxy is between, such as ``https://mlops.example.org/mcenter``."""
    tls_certificate: str = ""
    """PEM file with the server's certificate and those between it and an authority."""
    tls_key: str = ""
    """PEM file with its key."""
    tls_key_password: str = secret()
    trusted_proxies: str = ""
    """Addresses or networks, with commas, of the proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` count."""
    api_requests_per_minute: int = 600
    """Of each account or, without one, of each address, by all processes together. 0: no limit."""
    reports_per_minute: int = 60_000
    """The same for statistics and events that programs report over HTTP."""
    oidc_issuer: str = ""
    """Address of an identity provider (OpenID Connect) by which people sign in; empty: none."""
    oidc_client_id: str = ""
    oidc_client_secret: str = secret()
    oidc_scopes: str = "openid profile email"
    oidc_groups_claim: str = "groups"
    """Claim with the names of somebody's groups: those of the server that are called so have them as members."""
    session_idle_minutes: int = 720
    """A session of a browser ends after so many minutes without a request."""
    session_hours: int = 168
    """It ends after so many hours at the latest."""
    url: str = ""
    """Address of the server through which commands act, and that ``mlops.attach`` asks; empty: commands act on Kafka themselves."""
    token: str = secret()
    """Token of the API with which commands and ``mlops.attach`` sign in at that server."""
    ca_certs: str = ""
    """PEM file with the authorities that are trusted for that server; empty: those of the system."""
    notifications_file: str = ""
    """The notifier's file, whose routes a page shows and tries; empty: they are not shown."""
    component_kafka_username: str = ""
    """User of the brokers with the role ``producer``, for components that sign in at the server with ``mlops.attach``."""
    component_kafka_password: str = secret()
    component_clickhouse_user: str = ""
    """User of ClickHouse with the role ``mcenter_analyst``, for those of them who may read all MLApps."""
    component_clickhouse_password: str = secret()
    component_artifacts_options_json: str = secret()
    """Options of the artifact store for them, as a JSON object; empty: those of the server's own that hold no secret."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AgentSettings(_ShownWithoutSecrets):
    """The agent of a host, which runs pipelines."""

    name: str = ""
    """Its id, unique among all agents; empty: the host's name."""
    labels: str = ""
    """Labels by which definitions choose agents: ``gpu=a100, zone=b``."""
    data_folder: str = ""
    """Where it keeps runs and what it must know; empty: ``~/.mcenter/agent``."""
    address: str = ""
    """Where programs on the host are reached; empty: the host's name."""
    cpus: float = 0.0
    """CPUs that pipelines may use; 0: all."""
    memory_mbytes: int = 0
    """Memory that pipelines may use; 0: all."""
    heartbeat_interval_s: float = 1.0
    metrics_interval_s: float = 15.0
    """Between reports of the load of the host and of each run; 0: none."""
    store_max_mbytes: int = 256
    """Bound of the file with reports that have not arrived."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KubernetesSettings(_ShownWithoutSecrets):
    """The cluster to which an agent gives runs of nodes with ``runner: kubernetes``."""

    namespace: str = ""
    """Where Jobs and Deployments are made; empty: this agent gives none to a cluster."""
    kubeconfig: str = ""
    """File that says how to reach the cluster; empty: the agent runs in a Pod, with its service account."""
    context: str = ""
    """Of that file; empty: its current one."""
    image: str = ""
    """Image with this platform's packages: for nodes that name none, and to fetch components and models."""
    config_secret: str = ""
    """Secret whose keys programs get as variables: ``MCENTER_KAFKA_BOOTSTRAP_SERVERS`` and the like."""
    service_account: str = ""
    """Of the Pods; empty: the namespace's default."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings(_ShownWithoutSecrets):
    """Everything that says where the platform is."""

    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    clickhouse: ClickHouseSettings = field(default_factory=ClickHouseSettings)
    schema_registry: RegistrySettings = field(default_factory=RegistrySettings)
    artifacts: ArtifactSettings = field(default_factory=ArtifactSettings)
    captures: CapturesSettings = field(default_factory=CapturesSettings)
    component: ComponentSettings = field(default_factory=ComponentSettings)
    log: LogSettings = field(default_factory=LogSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    agent: AgentSettings = field(default_factory=AgentSettings)
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
