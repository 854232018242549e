"""Client of any Confluent-compatible schema registry. Standard library only.

The schema of an id never changes, so each is requested once. Ids of packaged schemas are resolved without a request:
records written before a registry was configured stay readable.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from parallelm.connections import ConfigurationError, tls
from parallelm.schemas import packaged
from parallelm.schemas.errors import (
    RegistryUnavailableError,
    SchemaError,
    UnknownSchemaError,
    UnregisteredSchemaError,
)
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from parallelm.connections import RegistrySettings

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_NOT_FOUND = 404
_MAX_RESPONSE_BYTES = 16 * 1024 * 1024


class RegistryRefusedError(SchemaError):
    """The registry refused a request: unknown subject, incompatible schema, no access."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class HttpRegistry:
    """A schema registry behind a URL; subjects follow TopicNameStrategy: ``<prefix><topic>-value``."""

    def __init__(self, registry: RegistrySettings, topic_prefix: str) -> None:
        registry = registry.address()
        if registry.url.partition("://")[0].lower() not in {"http", "https"}:
            raise ConfigurationError(
                f"MCENTER_SCHEMA_REGISTRY_URL is {registry.url.rpartition('@')[2]!r}; it must start with http:// or https://"
            )
        self.url = registry.url.rstrip("/")
        self._timeout_s = registry.timeout_s
        self._trust = tls.trust_context() if self.url.lower().startswith("https:") else None
        self._headers = {"Accept": f"{_MEDIA_TYPE}, application/json"}
        if registry.user:
            pair = base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        self._prefix = topic_prefix
        self._subjects = {topic.record: f"{topic_prefix}{topic.subject}" for topic in CATALOGUE}
        self._schemas: dict[int, str] = {}
        self._ids: dict[type, int] = {}

    def schema(self, schema_id: int) -> str:
        """JSON text of the schema with this id.

        Raises ``UnknownSchemaError`` when the registry says that there is none and ``RegistryUnavailableError`` when
        it does not answer.
        """
        if schema_id in packaged.by_id():
            return packaged.by_id()[schema_id].text
        if schema_id not in self._schemas:
            try:
                answer = self.request("GET", f"/schemas/ids/{schema_id}")
            except RegistryRefusedError as error:
                if error.status == _NOT_FOUND:
                    raise UnknownSchemaError(schema_id, f"the schema registry at {self.url}") from error
                raise RegistryUnavailableError(str(error)) from error
            self._schemas[schema_id] = str(self._member(answer, "schema"))
        return self._schemas[schema_id]

    def schema_id(self, record: type) -> int:
        """Id of the current version of a record's schema.

        Raises ``UnregisteredSchemaError`` when the subject lacks it and ``RegistryUnavailableError`` when the registry
        does not answer.
        """
        if record not in self._ids:
            subject = self.subject(record)
            try:
                answer = self.request(
                    "POST",
                    f"/subjects/{quote(subject, safe='')}",
                    _body(packaged.current(record.__name__).text),
                )
            except RegistryRefusedError as error:
                if error.status == _NOT_FOUND:
                    raise UnregisteredSchemaError(
                        f"subject {subject!r} of the schema registry at {self.url} lacks the schema of "
                        f"{record.__name__} that this version writes; run `mcenter schemas register`"
                    ) from error
                raise RegistryUnavailableError(str(error)) from error
            self._ids[record] = int(self._member(answer, "id"))
        return self._ids[record]

    def subject(self, record: type) -> str:
        """Subject of a record's schema."""
        return self._subjects[record]

    def registered(self, record: type) -> list[str]:
        """JSON texts of all versions that the registry holds of a record's schema, oldest first."""
        path = f"/subjects/{quote(self.subject(record), safe='')}/versions"
        try:
            numbers = self.request("GET", path)
        except RegistryRefusedError as error:
            if error.status == _NOT_FOUND:
                return []
            raise
        return [str(self._member(self.request("GET", f"{path}/{number}"), "schema")) for number in numbers]

    def register(self, record: type) -> int:
        """Register all packaged versions of a record's schema, oldest first, and return the id of the current one.

        Existing versions stay unchanged. The subject's compatibility is set to FULL_TRANSITIVE. Raises
        ``RegistryRefusedError`` when the registry finds a version incompatible or denies access.
        """
        for topic in CATALOGUE:
            if topic.record is record:
                subject = quote(f"{self._prefix}{topic.subject}", safe="")
                for schema in packaged.versions(record.__name__):
                    answer = self.request("POST", f"/subjects/{subject}/versions", _body(schema.text))
                self.request("PUT", f"/config/{subject}", {"compatibility": "FULL_TRANSITIVE"})
        return int(self._member(answer, "id"))

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """JSON answer to one request.

        Raises ``RegistryRefusedError`` for an error that the registry reports, ``RegistryUnavailableError`` when it
        is away, overloaded or not a schema registry.
        """
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers=self._headers | ({} if body is None else {"Content-Type": _MEDIA_TYPE}),
            method=method,
        )
        try:
            with urllib.request.urlopen(  # noqa: S310 - the scheme was checked
                request, timeout=self._timeout_s, context=self._trust
            ) as response:
                return json.loads(response.read(_MAX_RESPONSE_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                reported = self._reported(error, f"{method} {path}")
            raise reported from error
        except (OSError, ValueError) as error:
            raise RegistryUnavailableError(
                f"the schema registry at {self.url} did not answer {method} {path}: {error}; "
                f"{tls.remedy(error) or 'check MCENTER_SCHEMA_REGISTRY_URL and that it runs'}"
            ) from error

    def _reported(self, error: urllib.error.HTTPError, what: str) -> SchemaError:
        """The registry's own message for an HTTP error. One without an error code comes from something else."""
        raw = error.read(_MAX_RESPONSE_BYTES)
        try:
            answer = json.loads(raw)
            message = f"{answer['message']} (error code {answer['error_code']})"
        except (ValueError, KeyError, TypeError):
            return RegistryUnavailableError(
                f"{self.url} answered {what} with HTTP {error.code} and not as a schema registry does; "
                "check MCENTER_SCHEMA_REGISTRY_URL: it may lack a path"
            )
        reason = f"the schema registry at {self.url} answered {what} with HTTP {error.code}: {message}"
        if error.code >= 500 or error.code == 429:  # noqa: PLR2004 - HTTP's own numbers
            return RegistryUnavailableError(reason)
        return RegistryRefusedError(reason, error.code)

    def _member(self, answer: Any, name: str) -> Any:
        try:
            return answer[name]
        except (KeyError, TypeError):
            raise RegistryUnavailableError(
                f"the answer of the schema registry at {self.url} has no {name!r}: {str(answer)[:200]}"
            ) from None


def _body(text: str) -> dict[str, Any]:
    return {"schema": text, "schemaType": "AVRO"}
