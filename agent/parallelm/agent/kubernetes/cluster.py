"""The cluster, through the official client: objects are dictionaries as its API has them."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from parallelm.connections.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from parallelm.connections.sections import KubernetesSettings

TIMEOUT_S: Final = 10.0
WATCH_S: Final = 240
"""A watch is begun anew after this, so that one that is dead without a word is found out."""
CONFLICT, NOT_FOUND, FORBIDDEN, UNAUTHORIZED = 409, 404, 403, 401
_TOO_MANY, _SERVER_ERRORS = 429, 500


class AwayError(Exception):
    """The cluster does not answer, or cannot now: the same may go well later."""


class RefusedError(Exception):
    """The cluster does not take what it was asked."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def may_be_taken_later(self) -> bool:
        """Whether it is a quota of the namespace that is used up: others end, and leave room."""
        return self.status == FORBIDDEN and "exceeded quota" in str(self)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object that runs consist of."""

    name: str
    api: str
    """The client's class of its group."""
    noun: str
    """In the names of that class's methods."""


JOB = Kind("Job", "BatchV1Api", "job")
DEPLOYMENT = Kind("Deployment", "AppsV1Api", "deployment")
POD = Kind("Pod", "CoreV1Api", "pod")
KINDS: Final = {kind.name: kind for kind in (JOB, DEPLOYMENT, POD)}


class Seen(Protocol):
    """Who is told of objects."""

    def listed(self, kind: Kind, objects: list[dict[str, Any]]) -> None:
        """All that there are."""

    def happened(self, kind: Kind, event: str, found: dict[str, Any]) -> None:
        """``ADDED``, ``MODIFIED`` or ``DELETED``."""


class Cluster:
    """One namespace of a cluster. Threads may share it."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self.namespace = settings.namespace
        self._api = client.ApiClient(_configuration(settings))

    def create(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; raises ``RefusedError`` with status 409 when there is one of its name."""
        return self._answered(KINDS[found["kind"]], "create", body=found)

    def read(self, kind: Kind, name: str) -> dict[str, Any]:
        """An object as it is now."""
        return self._answered(kind, "read", name=name)

    def replace(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Give an object that there is another content."""
        return self._answered(KINDS[found["kind"]], "replace", name=found["metadata"]["name"], body=found)

    def delete(self, kind: Kind, name: str) -> None:
        """Delete an object once its Pods have ended; nothing happens when there is none."""
        try:
            self._answered(kind, "delete", name=name, propagation_policy="Foreground")
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise

    def watch(self, kind: Kind, selector: str, seen: Seen) -> None:
        """Tell of all objects, then of every change, until the watch ends; raises ``AwayError``. Begin it again then."""
        answer = self._answered(kind, "list", label_selector=selector)
        seen.listed(kind, answer["items"])
        lines = self._lines(
            self._method(kind, "list"), namespace=self.namespace, label_selector=selector, watch=True,
            resource_version=answer["metadata"]["resourceVersion"], timeout_seconds=WATCH_S,
        )  # fmt: skip
        for line in lines:
            event = json.loads(line)
            if event["type"] == "ERROR":  # as for a version that the server does not remember any more
                return
            seen.happened(kind, event["type"], event["object"])

    def log(self, pod: str, container: str, since_s: int | None) -> Iterator[bytes]:
        """Lines of a container's log as it is written, each with its time before it; of the last ``since_s``, or all."""
        yield from self._lines(
            client.CoreV1Api(self._api).read_namespaced_pod_log, name=pod, namespace=self.namespace,
            container=container, follow=True, timestamps=True, since_seconds=since_s,
        )  # fmt: skip

    def close(self) -> None:
        """Close connections."""
        self._api.close()  # type: ignore[no-untyped-call]

    def _method(self, kind: Kind, verb: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(
            getattr(client, kind.api)(self._api), f"{verb}_namespaced_{kind.noun}"
        )
        return found

    def _answered(self, kind: Kind, verb: str, **arguments: Any) -> dict[str, Any]:
        with _understood():
            response = self._method(kind, verb)(
                namespace=self.namespace, _preload_content=False, _request_timeout=TIMEOUT_S, **arguments
            )
            answer: dict[str, Any] = json.loads(response.data)
            return answer

    @staticmethod
    def _lines(method: Callable[..., Any], **arguments: Any) -> Iterator[bytes]:
        with _understood():
            response = method(
                _preload_content=False, _request_timeout=(TIMEOUT_S, WATCH_S + TIMEOUT_S), **arguments
            )
            rest = b""
            try:
                for chunk in response.stream(1 << 16, decode_content=False):
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield from (line for line in lines if line)
                if rest:
                    yield rest
            finally:
                response.close()


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status in {0, None, UNAUTHORIZED, _TOO_MANY} or error.status >= _SERVER_ERRORS:
            raise AwayError(_reason(error)) from error
        raise RefusedError(error.status, _reason(error)) from error
    except (HTTPError, OSError, ValueError) as error:
        raise AwayError(f"the cluster does not answer: {error}") from error


def _reason(error: ApiException) -> str:
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return str(json.loads(error.body or "")["message"])
    return f"{error.status} {error.reason}"


def _configuration(settings: KubernetesSettings) -> Any:
    found = client.Configuration()
    try:
        if settings.kubeconfig:
            load_file: Any = config.load_kube_config
            load_file(settings.kubeconfig, settings.context or None, client_configuration=found)
        else:
            load_own: Any = config.load_incluster_config
            load_own(client_configuration=found)
    except (ConfigException, OSError) as error:
        raise ConfigurationError(
            f"no way to a Kubernetes cluster: {error}; name a file in [kubernetes] kubeconfig, or run the agent in a Pod"
        ) from error
    found.retries = False
    return found
