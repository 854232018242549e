"""How to reach Kafka, ClickHouse, the schema registry and the artifact store."""

from parallelm.connections.errors import ConfigurationError
from parallelm.connections.settings import (
    ArtifactSettings,
    CapturesSettings,
    ClickHouseSettings,
    ComponentSettings,
    KafkaSettings,
    KubernetesSettings,
    LogSettings,
    RegistrySettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    load_settings,
    save_settings,
)

__all__ = [
    "ArtifactSettings",
    "CapturesSettings",
    "ClickHouseSettings",
    "ComponentSettings",
    "ConfigurationError",
    "KafkaSettings",
    "KubernetesSettings",
    "LogSettings",
    "RegistrySettings",
    "RetentionSettings",
    "ServerSettings",
    "Settings",
    "load_settings",
    "save_settings",
]
