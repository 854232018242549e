"""Our settings in the forms that Faust and aiokafka take, which are not librdkafka's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faust import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from yarl import URL

from parallelm.connections import ConfigurationError
from parallelm.connections.tls import trust_context

if TYPE_CHECKING:
    import ssl

    from parallelm.connections import KafkaSettings


def broker_urls(kafka: KafkaSettings) -> list[URL]:
    """Bootstrap servers as Faust's URLs."""
    return [URL(f"kafka://{server.strip()}") for server in kafka.bootstrap_servers.split(",")]


def broker_credentials(kafka: KafkaSettings) -> Any:
    """Credentials for Faust, or None for a plain connection; raises ``ConfigurationError``."""
    protocol = kafka.security_protocol.upper()
    if protocol == "PLAINTEXT":
        return None
    if protocol == "SSL":
        return SSLCredentials(context=_ssl_context(kafka))
    if protocol not in {"SASL_PLAINTEXT", "SASL_SSL"}:
        raise ConfigurationError(
            f"MCENTER_KAFKA_SECURITY_PROTOCOL is {kafka.security_protocol!r}; "
            "there are: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
        )
    mechanism = kafka.sasl_mechanism.upper()
    if mechanism not in {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}:
        raise ConfigurationError(
            f"MCENTER_KAFKA_SASL_MECHANISM is {kafka.sasl_mechanism!r}; "
            "the processors know: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
        )
    return SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password,
        mechanism=mechanism,
        ssl_context=_ssl_context(kafka) if protocol == "SASL_SSL" else None,
    )


def aiokafka_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Where a client of aiokafka connects, and how; raises ``ConfigurationError``."""
    servers = [server.strip() for server in kafka.bootstrap_servers.split(",")]
    credentials = broker_credentials(kafka)
    return {
        "bootstrap_servers": servers,
        **(credentials_to_aiokafka_auth(credentials) if credentials else {}),
    }


def _ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    try:
        context = trust_context(kafka.ssl_ca_location)
        if kafka.ssl_certificate_location:
            context.load_cert_chain(
                kafka.ssl_certificate_location,
                kafka.ssl_key_location or None,
                kafka.ssl_key_password or None,
            )
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"MCENTER_KAFKA_SSL_…: certificates cannot be loaded: {error}") from error
    return context
