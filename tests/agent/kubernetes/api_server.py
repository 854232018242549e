"""A Kubernetes API server for tests: the real protocol over HTTP, objects checked by Kubernetes' own OpenAPI schemas.

Behind it is a small cluster: controllers make Pods of Jobs and Deployments, and a node runs each container as a process
of this machine, with its command and variables. Not there: images, volumes (a folder of the test is ``/mcenter/run``),
limits. What it does to objects follows the documentation of the API.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
import threading
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

VERSION = "1.34"
TOKEN = "test-token"  # noqa: S105 - of the test's own server
KINDS = {"jobs": ("batch/v1", "Job"), "deployments": ("apps/v1", "Deployment"), "pods": ("v1", "Pod")}
HISTORY = 500
"""Changes that a watch may begin after; older ones are gone (410)."""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(code: int, reason: str, message: str) -> JSONResponse:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return JSONResponse(body, code)


def selected(labels: dict[str, str], selector: str) -> bool:
    wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
    return all(labels.get(key) == value for key, value in wanted.items())


class Store:
    """Objects with their versions, and who watches them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.version = 1000
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.history: deque[tuple[int, str, str, dict[str, Any]]] = deque(maxlen=HISTORY)
        self.oldest = self.version
        self.listeners: list[Callable[[], None]] = []
        self.created: list[tuple[str, str]] = []
        """Every object that was ever created."""
        self.forbidden: set[str] = set()
        """What the agent has no right to create."""
        self.refusals: dict[tuple[str, str], list[Response]] = {}
        """Answers to the next requests, by method and plural, instead of doing what they ask."""

    def put(self, plural: str, found: dict[str, Any], event: str) -> dict[str, Any]:
        with self.lock:
            self.version += 1
            found = copy.deepcopy(found)
            found["metadata"]["resourceVersion"] = str(self.version)
            key = (plural, found["metadata"]["name"])
            if event == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = found
            if event == "ADDED":
                self.created.append(key)
            if len(self.history) == HISTORY:
                self.oldest = self.history[0][0]
            self.history.append((self.version, plural, event, found))
            listeners = list(self.listeners)
        for listener in listeners:
            listener()
        return found

    def change(self, plural: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        with self.lock:
            found = self.objects.get((plural, name))
            if found is None:
                return
            new = copy.deepcopy(found)
            change(new)
            if new != found:
                self.put(plural, new, "MODIFIED")

    def get(self, plural: str, name: str) -> dict[str, Any] | None:
        with self.lock:
            return copy.deepcopy(self.objects.get((plural, name)))

    def list(self, plural: str, selector: str = "") -> list[dict[str, Any]]:
        with self.lock:
            return [
                copy.deepcopy(found)
                for (kind, _), found in sorted(self.objects.items())
                if kind == plural and selected(found["metadata"].get("labels", {}), selector)
            ]

    def since(self, version: int, plural: str, selector: str) -> tuple[int, list[tuple[str, dict[str, Any]]]]:
        with self.lock:
            return self.version, [
                (event, found)
                for at, kind, event, found in self.history
                if at > version and kind == plural and selected(found["metadata"].get("labels", {}), selector)
            ]


class Api:
    """The requests that the agent makes, over ``Store``."""

    def __init__(self, store: Store, logs: Callable[[str, str, int], AsyncIterator[bytes]]) -> None:
        self._store, self._logs = store, logs

    def application(self) -> Starlette:
        routes = []
        for plural, (version, _) in KINDS.items():
            prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
            all_of, one = f"{prefix}/namespaces/{{namespace}}/{plural}", "/{name}"
            routes += [
                Route(all_of, self._for(plural, self._many), methods=["GET"]),
                Route(all_of, self._for(plural, self._create), methods=["POST"]),
                Route(all_of + one, self._for(plural, self._one), methods=["GET"]),
                Route(all_of + one, self._for(plural, self._replace), methods=["PUT"]),
                Route(all_of + one, self._for(plural, self._delete), methods=["DELETE"]),
            ]
        routes.append(Route("/api/v1/namespaces/{namespace}/pods/{name}/log", self._log, methods=["GET"]))
        return Starlette(routes=routes)

    def _for(
        self, plural: str, handle: Callable[[str, Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return status(401, "Unauthorized", "Unauthorized")
            if refusals := self._store.refusals.get((request.method, plural)):
                return refusals.pop(0)
            name = request.path_params.get("name")
            if name is not None and self._store.get(plural, name) is None:
                return status(404, "NotFound", f'{plural} "{name}" not found')
            return await handle(plural, request)

        return handler

    async def _create(self, plural: str, request: Request) -> Response:
        found = await request.json()
        if (wrong := checked(plural, found)) is not None:
            return wrong
        if plural in self._store.forbidden:
            return status(403, "Forbidden", f"{plural} is forbidden: the agent cannot create it")
        name = found["metadata"]["name"]
        if self._store.get(plural, name) is not None:
            return status(409, "AlreadyExists", f'{plural} "{name}" already exists')
        found["metadata"] |= {
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": now(),
            "namespace": request.path_params["namespace"],
        }
        return JSONResponse(self._store.put(plural, found | {"status": {}}, "ADDED"), 201)

    async def _many(self, plural: str, request: Request) -> Response:
        query = request.query_params
        selector = query.get("labelSelector", "")
        if query.get("watch", "").lower() == "true":
            version, timeout_s = int(query["resourceVersion"]), int(query["timeoutSeconds"])
            lines = watched(self._store, plural, selector, version, timeout_s, request)
            return StreamingResponse(lines, media_type="application/json")
        items = self._store.list(plural, selector)
        for item in items:  # as real ones leave it out
            del item["kind"], item["apiVersion"]
        version, kind = KINDS[plural]
        metadata = {"resourceVersion": str(self._store.version)}
        return JSONResponse(
            {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": items}
        )

    async def _one(self, plural: str, request: Request) -> Response:
        return JSONResponse(self._store.get(plural, request.path_params["name"]))

    async def _replace(self, plural: str, request: Request) -> Response:
        found, known = await request.json(), self._store.get(plural, request.path_params["name"])
        assert known is not None
        if (wrong := checked(plural, found)) is not None:
            return wrong
        kept = {key: known["metadata"][key] for key in ("uid", "creationTimestamp", "namespace")}
        generation = known["metadata"]["generation"] + (found["spec"] != known["spec"])
        found["metadata"] |= kept | {"generation": generation}
        return JSONResponse(self._store.put(plural, found | {"status": known["status"]}, "MODIFIED"))

    async def _delete(self, plural: str, request: Request) -> Response:
        if request.query_params.get("propagationPolicy") != "Foreground":
            return status(400, "BadRequest", "this server knows propagationPolicy=Foreground only")

        def mark(found: dict[str, Any]) -> None:
            found["metadata"].setdefault("deletionTimestamp", now())
            found["metadata"]["finalizers"] = ["foregroundDeletion"]

        self._store.change(plural, request.path_params["name"], mark)
        return JSONResponse(self._store.get(plural, request.path_params["name"]))

    async def _log(self, request: Request) -> Response:
        name, query = request.path_params["name"], request.query_params
        if self._store.get("pods", name) is None:
            return status(404, "NotFound", f'pods "{name}" not found')
        assert (query["follow"].lower(), query["timestamps"].lower()) == ("true", "true")
        lines = self._logs(name, query["container"], int(query.get("sinceSeconds", "0")))
        return StreamingResponse(lines, media_type="text/plain")


def checked(plural: str, found: dict[str, Any]) -> JSONResponse | None:
    """What Kubernetes has against an object."""
    version, kind = KINDS[plural]
    if (found.get("apiVersion"), found.get("kind")) != (version, kind):
        return status(400, "BadRequest", f"the object provided is not a {kind} of {version}")
    name = found["metadata"].get("name", "")
    try:
        kubernetes_validate.validate(found, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(map(str, error.path))
        return status(422, "Invalid", f'{kind} "{name}" is invalid: {where}: {error.message}')
    labels = [*found["metadata"].get("labels", {}).values()]
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        return status(422, "Invalid", f"metadata.name: Invalid value: {name!r}")
    if any(not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", label) for label in labels):
        return status(422, "Invalid", f"metadata.labels: Invalid value: {labels}")
    return None


async def watched(
    store: Store, plural: str, selector: str, version: int, timeout_s: int, request: Request
) -> AsyncIterator[bytes]:
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    if version < store.oldest:
        gone = {
            "kind": "Status",
            "status": "Failure",
            "reason": "Expired",
            "code": 410,
            "message": "too old resource version",
        }
        yield json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n"
        return

    def listener() -> None:
        loop.call_soon_threadsafe(changed.set)

    store.listeners.append(listener)
    ends = loop.time() + timeout_s
    try:
        while loop.time() < ends and not await request.is_disconnected():
            changed.clear()
            version, events = store.since(version, plural, selector)
            for event, found in events:
                yield json.dumps({"type": event, "object": found}).encode() + b"\n"
            try:
                async with asyncio.timeout(min(1.0, max(0.0, ends - loop.time()))):
                    await changed.wait()
            except TimeoutError:
                pass
    finally:
        store.listeners.remove(listener)


class Served:
    """The application under uvicorn on a free port of loopback."""

    def __init__(self, app: Starlette, port: int) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, "127.0.0.1", port, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
            )
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    @property
    def is_up(self) -> bool:
        return self._server.started

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(120)
