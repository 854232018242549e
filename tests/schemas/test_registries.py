"""Registries: packaged, over HTTP, and served to outside clients."""

from __future__ import annotations

import json
import socket
import struct
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections import ConfigurationError, RegistrySettings
from parallelm.schemas import packaged
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import (
    DecodeError,
    RegistryUnavailableError,
    UnknownSchemaError,
    UnregisteredSchemaError,
)
from parallelm.schemas.http_registry import HttpRegistry, RegistryRefusedError
from parallelm.schemas.records import Event, Heartbeat, StatisticsBatch
from parallelm.schemas.registry import PackagedRegistry, make_registry
from parallelm.schemas.registry_server import RegistryServer
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with running(RegistryServer("127.0.0.1", 0, "p.")) as url:
        yield url


def get(url: str, method: str = "GET", body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - of a registry of this test
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - as above
        return json.load(response)


def refusal(url: str, method: str = "GET", body: Any = None) -> tuple[int, int]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url, method, body)
    with caught.value as error:
        return error.code, json.load(error)["error_code"]


class ScriptedRegistry(ThreadingHTTPServer):
    """Answers every request with the same status and body, and remembers what was asked."""

    def __init__(self, status: int, body: bytes) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.asked.append((self.command, self.path, self.headers["Authorization"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the base class's name

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


def client(url: str, **more: Any) -> HttpRegistry:
    return HttpRegistry(RegistrySettings(url=url, timeout_s=60.0, **more), "p.")


def test_without_a_url_the_packaged_schemas_are_used():
    assert isinstance(make_registry(RegistrySettings(), "p."), PackagedRegistry)
    assert isinstance(make_registry(RegistrySettings(url="http://x"), "p."), HttpRegistry)


def test_packaged_ids_lead_back_to_their_schemas():
    registry = PackagedRegistry()
    for topic in CATALOGUE:
        assert json.loads(registry.schema(registry.schema_id(topic.record)))["name"] == topic.record.__name__


@pytest.mark.parametrize("url", ["ftp://x", "registry:8081", "file:///etc/passwd"])
def test_a_url_that_is_no_http_is_a_configuration_error(url: str):
    with pytest.raises(ConfigurationError, match="must start with http"):
        client(url)


def test_ids_and_schemas_are_asked_for_once_with_the_credentials():
    answer = json.dumps({"id": 7, "schema": packaged.current("Heartbeat").text}).encode()
    server = ScriptedRegistry(200, answer)
    with running(server) as url:
        registry = client(url, user="u", password="s3cret")  # noqa: S106 - of the scripted registry
        codec = Codec(registry)
        for now_ms in range(3):
            data = codec.encode(Heartbeat(event_time_ms=now_ms, agent_id="a", hostname="h", seq=0))
            assert data[:5] == b"\0\0\0\0\7"
            assert codec.decode(data) == Heartbeat(event_time_ms=now_ms, agent_id="a", hostname="h", seq=0)
    basic = "Basic dTpzM2NyZXQ="
    assert server.asked == [("POST", "/subjects/p.heartbeats-value", basic), ("GET", "/schemas/ids/7", basic)]


def test_packaged_ids_are_read_without_asking_a_registry():
    data = Codec(PackagedRegistry()).encode(Heartbeat(event_time_ms=1, agent_id="a", hostname="h", seq=2))
    assert Codec(client("http://127.0.0.1:9")).decode(data) == Heartbeat(
        event_time_ms=1, agent_id="a", hostname="h", seq=2
    )


def test_an_unknown_id_and_a_missing_schema_are_told_apart_from_a_registry_that_is_away():
    body = b'{"error_code": 40403, "message": "Schema not found"}'
    with running(ScriptedRegistry(404, body)) as url:
        with pytest.raises(UnknownSchemaError, match="has no schema with id 7"):
            client(url).schema(7)
        with pytest.raises(UnregisteredSchemaError, match="mcenter schemas register"):
            client(url).schema_id(Event)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b'{"error_code": 50301, "message": "no leader"}'),
        (500, b"<html>oops</html>"),
        (404, b"<html>not a registry</html>"),
        (401, b'{"error_code": 401, "message": "who are you"}'),
        (200, b"<html>login</html>"),
        (200, b'{"unexpected": 1}'),
        (200, b"[]"),
    ],
)
def test_what_is_no_answer_of_a_registry_is_worth_another_try(status: int, body: bytes):
    with running(ScriptedRegistry(status, body)) as url:
        with pytest.raises(RegistryUnavailableError, match=url):
            client(url).schema(7)
        with pytest.raises(RegistryUnavailableError, match=url):
            client(url).schema_id(Event)


def test_a_registry_that_is_away_is_worth_another_try_and_names_its_address():
    with pytest.raises(RegistryUnavailableError, match=r"127\.0\.0\.1:9 did not answer GET /schemas/ids/7"):
        client("http://127.0.0.1:9").schema(7)


def test_the_served_registry_lists_subjects_versions_and_schemas(served: str):
    assert get(f"{served}/subjects") == sorted(f"p.{topic.name}-value" for topic in CATALOGUE)
    assert get(f"{served}/subjects/p.heartbeats-value/versions") == [1]
    latest = get(f"{served}/subjects/p.heartbeats-value/versions/latest")
    assert latest == get(f"{served}/subjects/p.heartbeats-value/versions/1")
    assert (latest["id"], latest["version"]) == (packaged.current("Heartbeat").schema_id, 1)
    assert get(f"{served}/schemas/ids/{latest['id']}") == {"schema": packaged.current("Heartbeat").text}
    assert get(f"{served}/schemas/ids/{latest['id']}/schema")["name"] == "Heartbeat"
    assert get(f"{served}/schemas/ids/{latest['id']}/versions") == [
        {"subject": "p.heartbeats-value", "version": 1}
    ]
    assert get(f"{served}/subjects/p.heartbeats-value/versions/1/schema")["name"] == "Heartbeat"
    assert (
        get(f"{served}/config")
        == get(f"{served}/config/p.heartbeats-value")
        == {"compatibilityLevel": "FULL_TRANSITIVE"}
    )
    assert get(f"{served}/mode") == {"mode": "READONLY"}
    assert get(f"{served}/schemas/types") == ["AVRO"]


def test_the_served_registry_refuses_in_confluents_form(served: str):
    assert refusal(f"{served}/subjects/nope/versions") == (404, 40401)
    assert refusal(f"{served}/subjects/p.heartbeats-value/versions/9") == (404, 40402)
    assert refusal(f"{served}/schemas/ids/1") == (404, 40403)
    assert refusal(f"{served}/nothing/here") == (404, 404)
    assert refusal(f"{served}/subjects/p.heartbeats-value", "POST", {"schema": '"string"'}) == (404, 40403)
    assert refusal(f"{served}/subjects/p.heartbeats-value", "POST", {"schema": "{"}) == (422, 42201)
    assert refusal(f"{served}/subjects/p.heartbeats-value/versions", "POST", {"schema": '"string"'}) == (
        422,
        42205,
    )
    assert refusal(f"{served}/subjects/p.heartbeats-value", "DELETE") == (422, 42205)
    assert refusal(f"{served}/config", "PUT", {"compatibility": "NONE"}) == (422, 42205)


def test_our_own_client_finds_every_id_in_the_served_registry(served: str):
    for topic in CATALOGUE:
        assert client(served).schema_id(topic.record) == packaged.current(topic.record.__name__).schema_id
        assert client(served).registered(topic.record) == [packaged.current(topic.record.__name__).text]
    with pytest.raises(RegistryRefusedError, match="read-only"):
        client(served).register(StatisticsBatch)


def test_confluents_client_decodes_every_record_through_the_served_registry(
    served: str, codec: Codec, examples: dict[str, Any]
):
    from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    with SchemaRegistryClient({"url": served}) as registry:
        deserialize = AvroDeserializer(registry, conf={"subject.name.strategy": topic_subject_name_strategy})
        for topic in CATALOGUE:
            example = examples[topic.record.__name__]
            context = SerializationContext(topic.full_name("p."), MessageField.VALUE)
            value = deserialize(codec.encode(example), context)
            assert list(value) == list(type(example).__dataclass_fields__)
            if topic.record is Event:
                assert value["title"] == example.title
                assert value["event_time_ms"].timestamp() * 1000 == example.event_time_ms


@pytest.mark.parametrize("schema_id", [1, 77, 2_000_000_000, 2_000_100_000])
def test_without_a_registry_an_id_that_no_packaged_schema_can_have_is_poison(schema_id: int):
    with pytest.raises(DecodeError, match="no schema registry is configured"):
        PackagedRegistry().schema(schema_id)


def test_a_client_that_hangs_up_leaves_no_traceback(capfd: pytest.CaptureFixture[str]):
    server = RegistryServer("127.0.0.1", 0, "p.")
    server.daemon_threads = False  # so that closing waits for what the clients' threads have to say
    with running(server):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", server.server_port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"GET / HTTP/1.1\r\n")
        get(f"http://127.0.0.1:{server.server_port}/subjects")
    assert capfd.readouterr().err == ""
