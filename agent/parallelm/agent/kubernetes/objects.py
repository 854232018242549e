"""From a run to the object that Kubernetes is given. Pure: the same run makes the same object, of the same name.

A step is a container. All but the last are init containers, which Kubernetes runs one after the other; they share the
folder ``/mcenter/run``. Before them one fetches what the run needs, and after that one tries the model when the
definition says how.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parallelm.definitions.run_spec import OF_A_CLUSTER, program_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.definitions.run_spec import RunSpec

FOLDER: Final = "/mcenter/run"
"""Shared by the containers of a run."""
LABEL: Final = "mcenter.io/"
AGENT: Final = f"{LABEL}agent"
RUN: Final = f"{LABEL}run"
ATTEMPT: Final = f"{LABEL}attempt"
MODEL: Final = f"{LABEL}model"
FETCH, SMOKE_TEST, MAIN = "fetch", "smoke-test", "main"
IN_CLUSTER: Final = "kubernetes:"
"""Begins the references to secrets of the cluster: ``kubernetes:SECRET/KEY``."""
IN_POD: Final = ("python", "-m", "parallelm.agent.kubernetes.in_pod")

_LONGEST_LABEL = 63
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One program of a run."""

    name: str
    command: Sequence[str]
    working_folder: str = FOLDER
    environ: Mapping[str, str] | None = None
    """Above the run's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOptions:
    """What the agent's settings say of every Pod."""

    agent_id: str
    namespace: str
    image: str
    """For nodes that name none."""
    config_secret: str = ""
    """Secret whose keys become environment variables: how programs reach Kafka and ClickHouse."""
    service_account: str = ""


def object_name(spec: RunSpec) -> str:
    """Name of a run's object: the same for the same attempt, so that it is created once."""
    readable = (
        re.sub(r"[^a-z0-9]+", "-", f"{spec.mlapp_id}-{spec.node_id}".lower()).strip("-")[:40].strip("-")
    )
    return f"mc-{readable}-{_digest(spec.run_id)}-{spec.attempt}"


def label_value(text: str) -> str:
    """``text`` as a label, which may be short and of few characters only; distinct texts stay distinct."""
    fit = _UNFIT.sub("-", text).strip("-._")
    if fit == text and len(text) <= _LONGEST_LABEL:
        return text
    return f"{fit[: _LONGEST_LABEL - 17].strip('-._')}-{_digest(text)}".lstrip("-")


def is_service(spec: RunSpec) -> bool:
    """Whether it is kept up for ever: a Deployment, which Kubernetes starts again whatever its exit code."""
    return spec.mode == "online" and spec.running.restart.when == "always"


def object_of(
    spec: RunSpec, steps: Sequence[Container], environ: Mapping[str, str], options: PodOptions
) -> dict[str, Any]:
    """The Job or Deployment of a run."""
    pod = pod_template(spec, steps, environ, options)
    head = {
        "metadata": {
            "name": object_name(spec),
            "namespace": options.namespace,
            "labels": _labels(spec, options),
            "annotations": {f"{LABEL}run-id": spec.run_id, f"{LABEL}mlapp-name": spec.mlapp_name},
        }
    }
    if is_service(spec):
        limit_s = max(1, spec.running.model_delivery.time_limit // 1000)
        deployment = {
            "replicas": 1,
            "selector": {"matchLabels": {RUN: pod["metadata"]["labels"][RUN], ATTEMPT: str(spec.attempt)}},
            # The Pod with the old model ends once that with the new one is up: a model that does not start disturbs nobody.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": limit_s,
            "template": pod,
        }
        return {"apiVersion": "apps/v1", "kind": "Deployment", **head, "spec": deployment}
    job: dict[str, Any] = {
        "backoffLimit": _restarts(spec),
        "completions": 1,
        "parallelism": 1,
        "template": pod,
    }
    if spec.running.time_limit:
        job["activeDeadlineSeconds"] = max(1, spec.running.time_limit // 1000)
    return {"apiVersion": "batch/v1", "kind": "Job", **head, "spec": job}


def pod_template(
    spec: RunSpec, steps: Sequence[Container], environ: Mapping[str, str], options: PodOptions
) -> dict[str, Any]:
    """The Pod of a run, with its model."""
    variables = [{"name": name, "value": value} for name, value in sorted(environ.items())]
    variables += [
        _secret_variable(name, reference) for name, reference in sorted(spec.running.secrets.items())
    ]
    limits = _resources(spec)

    def container(of: Container) -> dict[str, Any]:
        own = [{"name": name, "value": value} for name, value in sorted((of.environ or {}).items())]
        described: dict[str, Any] = {
            "name": of.name,
            "image": _image(spec, of, options),
            "command": list(of.command),
            "workingDir": of.working_folder,
            "env": [*variables, *own],
            "resources": {"requests": limits, "limits": limits},
            "volumeMounts": [{"name": "run", "mountPath": FOLDER}],
        }
        if options.config_secret:
            described["envFrom"] = [{"secretRef": {"name": options.config_secret}}]
        return described

    before = [Container(name=FETCH, command=(*IN_POD, "fetch"))]
    delivery = spec.running.model_delivery
    if spec.model is not None and delivery.smoke_test is not None:
        before.append(Container(name=SMOKE_TEST, command=program_of(delivery.smoke_test)))
    before += steps[:-1]
    found: dict[str, Any] = {
        "initContainers": [container(each) for each in before],
        "containers": [container(steps[-1])],
        "volumes": [{"name": "run", "emptyDir": {}}],
        "restartPolicy": "Always" if is_service(spec) else ("OnFailure" if _restarts(spec) else "Never"),
        "terminationGracePeriodSeconds": spec.running.stop_grace // 1000,
        "automountServiceAccountToken": False,
    }
    if options.service_account:
        found["serviceAccountName"] = options.service_account
    metadata: dict[str, Any] = {"labels": _labels(spec, options)}
    if spec.model is not None:
        metadata["annotations"] = {MODEL: spec.model.model_id}
    return {"metadata": metadata, "spec": found}


def what_no_cluster_can(spec: RunSpec) -> str:
    """Why this run cannot be given to Kubernetes, and what to do; empty when it can. ``mlapp validate`` refuses the same."""
    running = spec.running
    if running.placement == "movable":
        return "placement: movable is for processes on hosts; Kubernetes moves Pods by itself: leave it out"
    if running.model_delivery.by == "signal":
        return "model_delivery by: signal does not reach a Pod; write restart or question"
    for name, reference in running.secrets.items():
        if not re.fullmatch(OF_A_CLUSTER, reference):
            return f"secret {name}: a Pod has the cluster's secrets only; write {IN_CLUSTER}SECRET/KEY"
    return ""


def _image(spec: RunSpec, of: Container, options: PodOptions) -> str:
    """Components are run by this package, so their node's image has it; a command may run in any image."""
    own = spec.running.image or options.image
    has_components = any(step.component is not None for step in spec.running.steps)
    return options.image if of.name == FETCH and options.image and not has_components else own


def _secret_variable(name: str, reference: str) -> dict[str, Any]:
    secret, _, key = reference.removeprefix(IN_CLUSTER).partition("/")
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _restarts(spec: RunSpec) -> int:
    """How often Kubernetes starts a Job's Pod again; a retry of an offline run is a new attempt, by the control plane."""
    restart = spec.running.restart
    if spec.mode == "offline" or restart.when != "on_failure":
        return 0
    return restart.limit or 2**31 - 1


def _resources(spec: RunSpec) -> dict[str, str]:
    wanted = spec.running.resources
    found = {}
    if wanted.cpus is not None:
        found["cpu"] = f"{round(wanted.cpus * 1000)}m"
    if wanted.memory is not None:
        found["memory"] = wanted.memory
    if wanted.gpus:
        found["nvidia.com/gpu"] = str(wanted.gpus)
    return found


def _labels(spec: RunSpec, options: PodOptions) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "mcenter",
        "app.kubernetes.io/part-of": label_value(spec.mlapp_id),
        "app.kubernetes.io/component": label_value(spec.node_id),
        AGENT: label_value(options.agent_id),
        RUN: label_value(spec.run_id),
        ATTEMPT: str(spec.attempt),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
