"""Bytes and fingerprints of every version of every record, as they were written once: they never change.

A new record or version gets its files with ``MCENTER_WRITE_GOLDEN=1 pytest tests/schemas/test_golden.py``; a file that
is there is never written over.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import pytest

from parallelm.schemas import packaged
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from parallelm.schemas.codec import Codec

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = [schema for topic in CATALOGUE for schema in packaged.versions(topic.record.__name__)]


def label(schema: packaged.PackagedSchema) -> str:
    return f"{schema.record}.{schema.version}"


def golden(name: str, text: str) -> str:
    """Content of a golden file; written first when it is missing and writing was asked for."""
    path = GOLDEN / name
    if not path.exists() and os.environ.get("MCENTER_WRITE_GOLDEN"):
        path.write_text(text, encoding="ascii")
    return path.read_text(encoding="ascii")


def wrapped(data: bytes) -> str:
    return "\n".join(data.hex()[start : start + 96] for start in range(0, 2 * len(data), 96)) + "\n"


@pytest.mark.parametrize("schema", VERSIONS, ids=label)
def test_a_schema_that_was_released_stays_as_it_is(schema: packaged.PackagedSchema):
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(schema.text))
    fingerprint = fastavro.schema.fingerprint(canonical, "SHA-256")
    assert golden(f"{label(schema)}.sha256", f"{schema.schema_id} {fingerprint}\n") == (
        f"{schema.schema_id} {fingerprint}\n"
    ), "a schema in use was changed: keep it in avro/history and make a new version, as packaged.py says"


@pytest.mark.parametrize("schema", VERSIONS, ids=label)
def test_the_bytes_of_every_version_are_read_and_the_current_ones_written(
    schema: packaged.PackagedSchema, codec: Codec, examples: dict[str, Any]
):
    example = examples[schema.record]
    written = codec.encode(example)
    stored = bytes.fromhex(golden(f"{label(schema)}.hex", wrapped(written)))
    assert int.from_bytes(stored[1:5], "big") == schema.schema_id
    decoded = codec.decode(stored, type(example))
    if schema == packaged.current(schema.record):
        assert written == stored
        assert decoded == example
