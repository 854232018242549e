"""Whatever comes in on the sockets, the other clients notice nothing and memory stays bounded."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from clickhouse_driver import errors

from parallelm.mcenter.engine.clients import MAX_CLIENTS
from parallelm.mcenter.engine.wire import string, varint
from tests.waiting import DEADLINE_S, wait_for

from .conftest import EngineProcess, running_engine
from .native_client import NativeClient, hello

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = int(os.environ.get("FAULT_SEED", "20130101"))
MEGABYTE = 1 << 20
HUGE = 2**62
HANDSHAKE_TIMEOUT_S = 5


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One that soon loses patience with a client that does not say who it is."""
    folder = tmp_path_factory.mktemp("engine")
    with running_engine(folder, "--handshake-timeout-s", str(HANDSHAKE_TIMEOUT_S)) as running:
        yield running


@pytest.fixture(autouse=True)
def others_notice_nothing(engine: EngineProcess) -> Iterator[None]:
    """Beside each test a client asks all the time; at the end memory is about where it was."""
    client = engine.client()
    client.execute("SELECT 1")
    connection = client.connection.socket
    before = engine.resident_bytes()
    done = threading.Event()

    def ask() -> float:
        slowest_s = 0.0
        while not done.is_set():
            began = time.monotonic()
            assert client.execute("SELECT 1") == [(1,)]
            slowest_s = max(slowest_s, time.monotonic() - began)
        return slowest_s

    with ThreadPoolExecutor(1) as beside:
        asking = beside.submit(ask)
        yield
        done.set()
        assert asking.result() < DEADLINE_S
    assert client.connection.socket is connection
    assert engine.resident_bytes() < before + 150 * MEGABYTE
    assert engine.process is not None
    assert engine.process.poll() is None


def _closed_by_server(connection: socket.socket) -> bool:
    """Read what the server has to say; whether it hangs up then."""
    connection.settimeout(DEADLINE_S)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_random_bytes(engine: EngineProcess):
    print(f"seed {SEED}")  # noqa: T201 - shown when the test fails
    dice = random.Random(SEED)
    for _ in range(40):
        with engine.socket() as connection:
            connection.sendall(dice.randbytes(dice.randrange(1, 5000)))
            connection.shutdown(socket.SHUT_WR)
            assert _closed_by_server(connection)


def test_random_bytes_after_a_handshake(engine: EngineProcess):
    print(f"seed {SEED}")  # noqa: T201 - shown when the test fails
    dice = random.Random(SEED)
    for _ in range(40):
        with engine.socket() as connection:
            connection.sendall(hello() + dice.randbytes(dice.randrange(1, 5000)))
            connection.shutdown(socket.SHUT_WR)
            assert _closed_by_server(connection)


def test_http_on_the_native_port(engine: EngineProcess):
    with engine.socket() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert _closed_by_server(connection)


@pytest.mark.parametrize(
    "greeting",
    [
        varint(0) + varint(HUGE) + b"x" * MEGABYTE,
        varint(0) + string("c") + b"\xff" * 20,
        varint(0) + string("c") + varint(1) + varint(1) + varint(54000) + string("") * 3,
        varint(0) + string("x" * 5000),
        hello(password="wrong"),  # noqa: S106 - a wrong one
        hello(database="nowhere"),
        hello() + varint(9),
        hello() + varint(1) + varint(HUGE),
        hello() + varint(1) + string("") + b"\0" + string("") + varint(2) + varint(0) + varint(HUGE),
        hello() + varint(2) + string("") + b"\0" + varint(2) + varint(2),
    ],
    ids=["length", "number", "revision", "name", "password", "database", "packet", "id", "query", "data"],
)
def test_hostile_greetings_end_the_connection(engine: EngineProcess, greeting: bytes):
    with engine.socket() as connection:
        connection.sendall(greeting)
        assert _closed_by_server(connection)


@pytest.mark.parametrize(
    "block",
    [
        varint(1) + varint(HUGE) + string("n") + string("UInt64"),
        varint(1) + varint(HUGE) + string("n") + string("String"),
        varint(1) + varint(2) + string("n") + string("String") + varint(HUGE),
        varint(1) + varint(2) + string("n") + string("Array(UInt8)") + struct.pack("<QQ", 0, HUGE),
        varint(1) + varint(HUGE) + string("n") + string("Tuple()"),
        varint(HUGE) + varint(1),
        varint(9_999) + varint(1) + (string("n") + string("UInt8") + b"\0") * 3,
        varint(1) + varint(1) + string("n") + string("Array(" * 500 + "UInt8" + ")" * 500),
        varint(1) + varint(1) + string("n") + string("Decimal(x)"),
        varint(1) + varint(1) + string("n") + string("FixedString(99999999999)"),
        varint(1) + varint(1) + string("n") + string("Nonsense"),
        varint(1) + varint(1) + string("n") + string("AggregateFunction(sum, UInt8)"),
    ],
)
def test_hostile_blocks_insert_nothing(engine: EngineProcess, block: bytes):
    watcher = engine.client()
    watcher.execute("CREATE TABLE IF NOT EXISTS default.hostile (n UInt64) ENGINE = MergeTree ORDER BY n")
    with NativeClient(engine) as client:
        client.query("INSERT INTO default.hostile VALUES")
        client.send(varint(2), string(""), b"\0", block, bytes(MEGABYTE))
        client.hang_up()
    assert watcher.execute("SELECT count() FROM default.hostile") == [(0,)]


@pytest.mark.parametrize("method", [0x82, 0x90, 0x02, 0x77])
def test_a_frame_that_promises_the_moon(engine: EngineProcess, method: int):
    for size, plain in ((2**32 - 1, 100), (100, 2**32 - 1), (3, 3), (40, 400 * MEGABYTE)):
        with NativeClient(engine, method=0x82) as client:
            client.query("INSERT INTO FUNCTION null('n UInt64') VALUES")
            client.send(
                varint(2), string(""), bytes(16), struct.pack("<BII", method, size, plain), bytes(1000)
            )
            client.hang_up()


def test_slow_and_silent_greetings_hold_up_nobody(engine: EngineProcess):
    half = [engine.socket() for _ in range(60)]
    for connection in half:
        connection.sendall(hello()[:5])
    assert engine.client().execute("SELECT 1") == [(1,)]
    # Drop by drop does not help either: the handshake as a whole has a time limit.
    dripping = engine.socket()
    began = time.monotonic()
    try:
        while time.monotonic() - began < DEADLINE_S:
            dripping.sendall(b"\0")
            dripping.settimeout(0.2)
            try:
                if not dripping.recv(1000):
                    break
            except TimeoutError:
                pass
    except OSError:
        pass
    assert time.monotonic() - began < DEADLINE_S
    dripping.close()
    for connection in half:
        assert _closed_by_server(connection)
        connection.close()


def test_more_clients_than_allowed_are_turned_away(engine: EngineProcess):
    silent = [engine.socket() for _ in range(MAX_CLIENTS + 20)]
    wait_for(lambda: engine.log.read_text().count("is turned away") >= 20)
    assert any(map(_is_closed, silent))
    for connection in silent:
        connection.close()
    wait_for(lambda: _answers(engine))


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.001)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def _answers(engine: EngineProcess) -> bool:
    client = engine.client()
    try:
        answer: bool = client.execute("SELECT 1") == [(1,)]
    except (EOFError, OSError, errors.Error):
        return False
    return answer


def test_clients_that_vanish_leave_nothing_behind(engine: EngineProcess):
    import psutil

    process = psutil.Process(engine.pid)
    before = len(process.net_connections())
    for _ in range(30):
        with NativeClient(engine) as client:
            client.query("SELECT number FROM numbers(100000000000)")
    watcher = engine.client()
    running = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(100000000000)'"
    wait_for(lambda: watcher.execute(running) == [(0,)])
    wait_for(lambda: len(process.net_connections()) <= before + 2)


def test_garbage_on_the_http_port(engine: EngineProcess):
    dice = random.Random(SEED)
    requests = [
        b"\x00\x01\x02\r\n\r\n",
        dice.randbytes(3000),
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: minus one\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /?query=" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    ]
    for request in requests:
        with socket.create_connection(("127.0.0.1", engine.http_port), timeout=DEADLINE_S) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                continue
            assert _closed_by_server(connection)
