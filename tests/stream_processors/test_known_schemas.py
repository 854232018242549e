"""Schemas that are not there yet hold records up, and make no dead letters of them."""

from __future__ import annotations

import asyncio

import pytest

from parallelm.schemas.errors import RegistryUnavailableError, UnknownSchemaError
from parallelm.schemas.packaged import RESERVED_IDS
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.wire import HEADER, MAGIC
from parallelm.stream_processors.runtime import known_schemas
from parallelm.stream_processors.runtime.chunks import Incoming
from parallelm.stream_processors.runtime.known_schemas import KnownSchemas


class SlowRegistry:
    """Answers from the third time on."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def schema(self, _: int) -> str:
        self.asked += 1
        if self.asked < 3:
            raise self.error
        return "{}"

    def schema_id(self, _: type) -> int:
        raise NotImplementedError


def record(value: bytes | None) -> Incoming:
    return Incoming("models", 0, 1, 1, b"app", value)


FROM_A_REGISTRY = record(HEADER.pack(MAGIC, 7) + b"body")


@pytest.mark.parametrize("error", [RegistryUnavailableError("away"), UnknownSchemaError(7, "the registry")])
def test_a_registry_that_is_away_or_behind_is_asked_again_and_only_until_it_has_answered(error: Exception):
    registry = SlowRegistry(error)
    known = KnownSchemas(registry)
    asyncio.run(known.of([FROM_A_REGISTRY, FROM_A_REGISTRY]))
    asyncio.run(known.of([FROM_A_REGISTRY]))
    assert registry.asked == 3


def test_a_schema_that_stays_unknown_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known_schemas, "UNKNOWN_SCHEMA_LIMIT_S", 0.05)
    with pytest.raises(UnknownSchemaError):
        asyncio.run(KnownSchemas(SlowRegistry(UnknownSchemaError(7, "the registry"))).of([FROM_A_REGISTRY]))


def test_packaged_schemas_do_not_change_while_a_worker_runs():
    newer = record(HEADER.pack(MAGIC, RESERVED_IDS[-1]))
    with pytest.raises(UnknownSchemaError):
        asyncio.run(KnownSchemas(PackagedRegistry()).of([newer]))


@pytest.mark.parametrize("value", [None, b"", b"poison", b"\x00", HEADER.pack(MAGIC, 7)])
def test_poison_is_left_to_its_handler(value: bytes | None):
    asyncio.run(KnownSchemas(PackagedRegistry()).of([record(value)]))
