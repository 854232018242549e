"""What has to be known of ClickHouse's type names: how to walk over a column, and what a client may send for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from parallelm.mcenter.engine.wire import ProtocolError

if TYPE_CHECKING:
    from parallelm.mcenter.engine.wire import Reader

MAX_DEPTH = 32
_WIDTHS = {
    1: ("UInt8", "Int8", "Bool", "Enum8", "Nothing"),
    2: ("UInt16", "Int16", "BFloat16", "Date", "Enum16"),
    4: ("UInt32", "Int32", "Float32", "Date32", "DateTime", "DateTime32", "IPv4", "Decimal32", "Time"),
    8: ("UInt64", "Int64", "Float64", "DateTime64", "Decimal64", "Time64"),
    16: ("UInt128", "Int128", "UUID", "IPv6", "Decimal128", "Point"),
    32: ("UInt256", "Int256", "Decimal256"),
}
_FIXED_WIDTH = {name: width for width, names in _WIDTHS.items() for name in names}
_GEOMETRY = {
    "Ring": "Point",
    "LineString": "Point",
    "MultiPoint": "Point",
    "Polygon": "Ring",
    "MultiLineString": "LineString",
    "MultiPolygon": "Polygon",
}
_NESTS = frozenset({"Nullable", "SimpleAggregateFunction", "Tuple", "Array", "Map", "Nested"})
_DECIMAL_WIDTHS = ((9, 4), (18, 8), (38, 16), (76, 32))
_INDEX_WIDTHS = (1, 2, 4, 8)
_HAS_KEYS, _HAS_SHARED_KEYS = 1 << 9, 1 << 8
_ELEMENT_NAME = re.compile(r"(?:`(?:[^`\\]|\\.)*`|\w+)\s+(?=\S)", re.DOTALL)
_QUOTES = "'`\""


def arguments(text: str) -> list[str]:
    """Split the text between a type's brackets at its own commas."""
    parts: list[str] = []
    depth = start = at = 0
    while at < len(text):
        character = text[at]
        if character in _QUOTES:
            at = _quoted_end(text, at)
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
        at += 1
    return [*parts, text[start:].strip()]


def skip_column(reader: Reader, kind: str, rows: int) -> None:
    """Walk over ``rows`` values of type ``kind``; ``ProtocolError`` for a type that no insert may carry."""
    if rows:
        _skip_prefixes(reader, kind, 0)
        _skip_values(reader, kind, rows, 0)


def _skip_prefixes(reader: Reader, kind: str, depth: int) -> None:
    """The versions of all dictionaries in a column stand in front of it."""
    if "LowCardinality(" not in kind:
        return
    if depth > MAX_DEPTH:
        raise ProtocolError("a type nested too deep")
    base, _, rest = kind.partition("(")
    if base == "LowCardinality":
        reader.skip(8)
    elif base in _NESTS:
        for element in arguments(rest[:-1]):
            _skip_prefixes(reader, _without_name(element), depth + 1)


def _skip_values(reader: Reader, kind: str, rows: int, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ProtocolError("a type nested too deep")
    if not rows:
        return
    base, _, rest = kind.partition("(")
    inner = rest[:-1]
    if base in _FIXED_WIDTH:
        reader.skip(_FIXED_WIDTH[base] * rows)
    elif base.startswith("Interval"):
        reader.skip(8 * rows)
    elif base == "String":
        reader.skip_strings(rows)
    elif base == "FixedString":
        reader.skip(_number(inner, kind) * rows)
    elif base == "Decimal":
        precision = _number(arguments(inner)[0], kind)
        reader.skip(next((width for most, width in _DECIMAL_WIDTHS if precision <= most), 32) * rows)
    else:
        _skip_compound(reader, base, inner, rows, depth)


def _skip_compound(reader: Reader, base: str, inner: str, rows: int, depth: int) -> None:
    if base == "LowCardinality":
        _skip_dictionaries(reader, inner, rows, depth)
    elif base == "Nullable":
        reader.skip(rows)
        _skip_values(reader, inner, rows, depth + 1)
    elif base == "SimpleAggregateFunction":
        _skip_values(reader, arguments(inner)[-1], rows, depth + 1)
    elif base == "Tuple":
        for element in arguments(inner) if inner else ():
            _skip_values(reader, _without_name(element), rows, depth + 1)
    elif base in {"Array", "Map", "Nested"} or base in _GEOMETRY:
        _skip_arrays(reader, base, inner, rows, depth)
    else:
        raise ProtocolError(f"type {base} cannot be inserted over the native protocol of this server")


def _skip_dictionaries(reader: Reader, inner: str, rows: int, depth: int) -> None:
    """Pages of ``LowCardinality``: kind of index, keys, and for each row the place of its key."""
    keys_kind = inner.removeprefix("Nullable(").removesuffix(")") if inner.startswith("Nullable(") else inner
    while rows:
        flags, keys = reader.u64(), reader.u64()
        index = flags & 0xFF
        if flags & _HAS_SHARED_KEYS or not flags & _HAS_KEYS or index >= len(_INDEX_WIDTHS):
            raise ProtocolError(f"LowCardinality of form {flags:#x} cannot be inserted over this protocol")
        _skip_values(reader, keys_kind, keys, depth + 1)
        page = reader.u64()
        if not 0 < page <= rows:
            raise ProtocolError(f"LowCardinality has {page} values where at most {rows} are left")
        reader.skip(_INDEX_WIDTHS[index] * page)
        rows -= page


def insertable(kind: str) -> str:
    """Type that a client is asked to send for a column of type ``kind``: JSON as String."""
    base, _, rest = kind.partition("(")
    if base in {"JSON", "Object"}:
        return "String"
    if base in {"Enum8", "Enum16", "AggregateFunction"} or not rest:
        return kind
    inner = rest[:-1]
    parts = []
    for argument in arguments(inner):
        bare = _without_name(argument)
        parts.append(argument[: len(argument) - len(bare)] + insertable(bare))
    return f"{base}({', '.join(parts)})"


def _skip_arrays(reader: Reader, base: str, inner: str, rows: int, depth: int) -> None:
    reader.skip(8 * (rows - 1))
    total = reader.u64()
    if base in _GEOMETRY:
        inner = _GEOMETRY[base]
    for element in [inner] if base == "Array" or base in _GEOMETRY else arguments(inner):
        _skip_values(reader, element if base == "Array" else _without_name(element), total, depth + 1)


def _without_name(element: str) -> str:
    named = _ELEMENT_NAME.match(element)
    return element[named.end() :] if named else element


def _number(text: str, kind: str) -> int:
    if not text.isdecimal():
        raise ProtocolError(f"type {kind} cannot be read")
    return int(text)


def _quoted_end(text: str, start: int) -> int:
    """Place of the quote that closes the one at ``start``, or the end of the text."""
    at = start + 1
    while at < len(text) and text[at] != text[start]:
        at += 2 if text[at] == "\\" else 1
    return at
