"""What is behind the test's API server: controllers of Jobs and Deployments, and a node that runs containers as processes."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from parallelm.agent.kubernetes.objects import FOLDER

from .api_server import Api, Served, Store, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

LOOK_S = 0.05


def exact_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


class SmallCluster:
    """The whole of it. ``stop_serving`` and ``serve`` take the API server away and bring it back; what runs goes on."""

    def __init__(
        self, folder: Path, port: int, secrets: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.folder, self.port = folder, port
        self.secrets = secrets or {}
        self.store = Store()
        self.logs: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self._pods: dict[str, PodProcesses] = {}
        self._since: dict[tuple[str, str], float] = {}
        self._is_over = threading.Event()
        self._served: Served | None = None
        self._thread = threading.Thread(target=self._control, daemon=True)

    def __enter__(self) -> Self:
        self.serve()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(120)
        for pod in self._pods.values():
            pod.kill()
        self.stop_serving()

    def serve(self) -> None:
        self._served = Served(Api(self.store, self._log).application(), self.port)

    def stop_serving(self) -> None:
        if self._served is not None:
            self._served.stop()
            self._served = None

    @property
    def is_serving(self) -> bool:
        return self._served is not None and self._served.is_up

    def kubeconfig(self) -> Path:
        """A file as ``kubectl`` has it."""
        from .api_server import TOKEN

        file = self.folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "agent", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "agent"}}],
        }
        file.write_text(json.dumps(config))
        return file

    async def _log(self, pod: str, container: str, since_s: int) -> AsyncIterator[bytes]:
        earliest = ""
        if since_s:
            earliest = (datetime.now(UTC) - timedelta(seconds=since_s)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        sent = 0
        while True:
            processes = self._pods.get(pod)
            is_over = processes is None or processes.is_over(container)
            lines = self.logs.get((pod, container), [])
            for at, line in lines[sent:]:
                if at >= earliest:
                    yield f"{at} {line}\n".encode()
            sent = len(lines)
            if is_over and sent == len(self.logs.get((pod, container), [])):
                return
            await asyncio.sleep(LOOK_S)

    # ---- controllers --------------------------------------------------------------------------------------------

    def _control(self) -> None:
        while not self._is_over.wait(LOOK_S):
            for plural in ("jobs", "deployments"):
                for found in self.store.list(plural):
                    name = found["metadata"]["name"]
                    if "deletionTimestamp" in found["metadata"]:
                        self._delete(plural, found)
                    elif plural == "jobs":
                        self._job(found)
                    else:
                        self._deployment(found)
                    self._since.setdefault((plural, name), time.monotonic())
            for pod in self.store.list("pods"):
                self._pod(pod)

    def _owned(self, found: dict[str, Any]) -> list[dict[str, Any]]:
        uid = found["metadata"]["uid"]
        return [pod for pod in self.store.list("pods") if pod["metadata"]["ownerReferences"][0]["uid"] == uid]

    def _delete(self, plural: str, found: dict[str, Any]) -> None:
        pods = self._owned(found)
        for pod in pods:
            self._pods[pod["metadata"]["name"]].end()
        if not pods:
            self.store.put(plural, found, "DELETED")

    def _create_pod(self, found: dict[str, Any]) -> None:
        template = copy.deepcopy(found["spec"]["template"])
        count = sum(1 for plural, _ in self.store.created if plural == "pods")
        name = f"{found['metadata']['name'][:50]}-{count:05d}"
        owner = {
            "apiVersion": found["apiVersion"],
            "kind": found["kind"],
            "name": found["metadata"]["name"],
            "uid": found["metadata"]["uid"],
        }
        metadata = template["metadata"] | {
            "name": name, "uid": name, "generation": 1, "ownerReferences": [owner], "creationTimestamp": now(),
        }  # fmt: skip
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        self._pods[name] = PodProcesses(self, pod)
        self.store.put("pods", pod, "ADDED")
        self._pods[name].start()

    def _pod(self, pod: dict[str, Any]) -> None:
        processes = self._pods[pod["metadata"]["name"]]
        if processes.is_ending and processes.has_ended:
            self.store.put("pods", pod, "DELETED")
            return
        self.store.change(
            "pods", pod["metadata"]["name"], lambda each: each.update(status=processes.status())
        )

    def _job(self, job: dict[str, Any]) -> None:
        name, pods = job["metadata"]["name"], self._owned(job)
        if job["status"].get("conditions"):
            return
        phases = [pod["status"].get("phase") for pod in pods]
        limit_s = job["spec"].get("activeDeadlineSeconds")
        started = self._since.get(("jobs", name), time.monotonic())
        if "Succeeded" in phases:
            self._job_is(name, {"type": "Complete"}, succeeded=1)
        elif limit_s is not None and time.monotonic() - started > limit_s:
            for pod in pods:
                self._pods[pod["metadata"]["name"]].end()
            self._job_is(
                name,
                {
                    "type": "Failed",
                    "reason": "DeadlineExceeded",
                    "message": "Job was active longer than specified deadline",
                },
            )
        elif phases.count("Failed") > job["spec"]["backoffLimit"]:
            self._job_is(
                name,
                {
                    "type": "Failed",
                    "reason": "BackoffLimitExceeded",
                    "message": "Job has reached the specified backoff limit",
                },
            )
        elif all(phase == "Failed" for phase in phases):
            self._create_pod(job)

    def _job_is(self, name: str, condition: dict[str, Any], **status: Any) -> None:
        told = condition | {"status": "True", "lastTransitionTime": now()}
        self.store.change("jobs", name, lambda job: job["status"].update(conditions=[told], **status))

    def _deployment(self, found: dict[str, Any]) -> None:
        name = found["metadata"]["name"]
        template = hashlib.sha256(json.dumps(found["spec"]["template"], sort_keys=True).encode()).hexdigest()
        live = [pod for pod in self._owned(found) if not self._pods[pod["metadata"]["name"]].is_ending]
        new = [pod for pod in live if self._pods[pod["metadata"]["name"]].template == template]
        old = [pod for pod in live if pod not in new]
        key = ("rollout-" + name, template)
        if not new:
            self._since[key] = time.monotonic()
            self._create_pod(found)
        ready = [pod for pod in new if self._pods[pod["metadata"]["name"]].is_ready]
        if ready:
            for pod in old:
                self._pods[pod["metadata"]["name"]].end()
        conditions = []
        if (
            new
            and not ready
            and time.monotonic() - self._since[key] > found["spec"]["progressDeadlineSeconds"]
        ):
            conditions = [
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "message": "timed out",
                }
            ]
        status = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": len(live),
            "updatedReplicas": len(new),
            "readyReplicas": sum(1 for pod in live if self._pods[pod["metadata"]["name"]].is_ready),
            "conditions": conditions,
        }
        self.store.change("deployments", name, lambda each: each.update(status=status))


class PodProcesses:
    """The containers of a Pod, one thread for all: init containers one after the other, then the container."""

    def __init__(self, cluster: SmallCluster, pod: dict[str, Any]) -> None:
        self._cluster, self._pod = cluster, pod
        self.name = pod["metadata"]["name"]
        bare = {
            key: pod["metadata"].get(key)
            for key in ("labels", "annotations")
            if pod["metadata"].get(key) is not None
        }
        template = {"metadata": bare, "spec": pod["spec"]}
        self.template = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()
        self._folder = cluster.folder / "pods" / self.name
        self._states: dict[str, dict[str, Any]] = {}
        self._phase = "Pending"
        self._process: subprocess.Popen[bytes] | None = None
        self.is_ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._folder.mkdir(parents=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        main = self._states.get(self._pod["spec"]["containers"][0]["name"], {})
        return "running" in main.get("state", {}) and not self.is_ending

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def is_over(self, container: str) -> bool:
        return self.has_ended or (
            "terminated" in self._states.get(container, {}).get("state", {}) and not self._restarts
        )

    def status(self) -> dict[str, Any]:
        spec, found = self._pod["spec"], copy.deepcopy(self._states)
        status: dict[str, Any] = {"phase": self._phase}
        for kind, containers in (
            ("initContainerStatuses", spec["initContainers"]),
            ("containerStatuses", spec["containers"]),
        ):
            status[kind] = [
                {"name": each["name"], "state": {"waiting": {"reason": "PodInitializing"}}, "restartCount": 0}
                | found.get(each["name"], {})
                for each in containers
            ]
        return status

    def end(self) -> None:
        """SIGTERM, and SIGKILL after the grace."""
        if self.is_ending:
            return
        self.is_ending = True
        self._signal(signal.SIGTERM)
        threading.Timer(
            self._pod["spec"]["terminationGracePeriodSeconds"], self._signal, (signal.SIGKILL,)
        ).start()

    def kill(self) -> None:
        self.is_ending = True
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    @property
    def _restarts(self) -> bool:
        return self._pod["spec"]["restartPolicy"] == "Always" and not self.is_ending

    def _run(self) -> None:
        spec = self._pod["spec"]
        for container in spec["initContainers"]:
            while not self.is_ending:
                code = self._contain(container)
                if code == 0:
                    break
                if spec["restartPolicy"] == "Never":
                    self._phase = "Failed"
                    return
                time.sleep(LOOK_S)
        self._phase = "Running"
        while not self.is_ending:
            code = self._contain(spec["containers"][0])
            if not self._restarts and not (spec["restartPolicy"] == "OnFailure" and code):
                self._phase = "Failed" if code else "Succeeded"
                return
            time.sleep(LOOK_S)

    def _contain(self, container: dict[str, Any]) -> int:
        before = self._states.get(container["name"])
        command = [self._here(part) for part in container["command"]]
        if command[0] == "python":
            command[0] = sys.executable
        folder = Path(self._here(container["workingDir"]))
        folder.mkdir(parents=True, exist_ok=True)
        started = now()
        with subprocess.Popen(
            command,
            cwd=folder,
            env=self._environ(container),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            self._process = process
            if self.is_ending:
                self._signal(signal.SIGKILL)
            self._states[container["name"]] = {
                "state": {"running": {"startedAt": started}},
                "restartCount": before["restartCount"] + 1 if before else 0,
                "lastState": before["state"] if before else {},
            }
            assert process.stdout is not None
            lines = self._cluster.logs.setdefault((self.name, container["name"]), [])
            for line in process.stdout:
                lines.append((exact_now(), line.decode().rstrip("\n")))
            code = process.wait()
        code = code if code >= 0 else 128 - code
        ended = {
            "exitCode": code,
            "startedAt": started,
            "finishedAt": now(),
            "reason": "Error" if code else "Completed",
        }
        self._states[container["name"]] |= {"state": {"terminated": ended}}
        return code

    def _here(self, text: str) -> str:
        return text.replace(FOLDER, str(self._folder))

    def _environ(self, container: dict[str, Any]) -> dict[str, str]:
        found = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
        for source in container.get("envFrom", []):
            found |= self._cluster.secrets[source["secretRef"]["name"]]
        for variable in container["env"]:
            if "valueFrom" in variable:
                key = variable["valueFrom"]["secretKeyRef"]
                found[variable["name"]] = self._cluster.secrets[key["name"]][key["key"]]
            else:
                found[variable["name"]] = self._here(variable["value"])
        return found
