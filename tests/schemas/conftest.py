"""One example of every record, made from its annotations: the same in every run."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

import pytest

from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.topics import CATALOGUE


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(PackagedRegistry())


@pytest.fixture(scope="session")
def examples() -> dict[str, Any]:
    """Record name to a record in which no two fields hold the same value by chance."""
    return {topic.record.__name__: _example(topic.record, topic.record.__name__) for topic in CATALOGUE}


def _example(hint: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{field.name: _example(hints[field.name], field.name) for field in fields(hint)})  # type: ignore[operator]
    if origin is Sequence:
        return [_example(arguments[0], name), _example(arguments[0], f"{name} 2")]
    if origin is Mapping:
        texts = {f"{name} key": f"{name} värde", "empty": ""}
        return texts if arguments[1] is str else {f"{name} key": _example(arguments[1], name)}
    if arguments:
        return _example(arguments[0], name)
    if issubclass(hint, StrEnum):
        return list(hint)[-1]
    number = sum(name.encode())
    return {
        str: f"{name} →",
        bytes: b"\x00\xff" + name.encode(),
        bool: True,
        int: number,
        float: number + 0.25,
    }[hint]
