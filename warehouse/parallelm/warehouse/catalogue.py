"""Tables and views of a warehouse with their comments, as data and as the page ``docs/tables.md``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_driver import Client

    from parallelm.connections import Settings

_KINDS = {"View": "view", "MaterializedView": "materialized view"}
_INTERNAL = re.compile(r"(_log|_state|_local|_arrays|_from_\w+)$|^schema_")
_TARGET = re.compile(r"\bTO (?:[`\w]+\.)?`?(\w+)`?")
_PARAMETER = re.compile(r"\{(\w+):([^}]+)\}")
_HEAD = """\
# Tables and views

Written by `mcenter warehouse tables`; do not edit. Every time is UTC. Names that end in `_log` or `_state` hold the rows
behind the views of that name: read the views. [Questions and their SQL](questions.md) shows them in use.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table or view."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view."""

    name: str
    kind: str
    """``table``, ``view`` or ``materialized view``."""
    comment: str
    columns: tuple[Column, ...]
    parameters: tuple[tuple[str, str], ...] = ()
    """Name and type of what a parameterised view is asked with."""
    fills: str = ""
    """Table that a materialized view writes to."""

    @property
    def is_internal(self) -> bool:
        """Whether it is there for the sink and the views only."""
        return self.kind == "materialized view" or _INTERNAL.search(self.name) is not None


def catalogue(settings: Settings) -> list[Relation]:
    """Tables and views of the database, by name; raises the driver's errors."""
    with clickhouse_client(settings.clickhouse) as client:
        columns = _columns(client)
        found = [
            Relation(
                name=name,
                kind=_KINDS.get(engine, "table"),
                comment=comment,
                columns=tuple(columns.get(name, ())),
                parameters=tuple(dict.fromkeys(_PARAMETER.findall(text))),
                fills=target[1] if engine == "MaterializedView" and (target := _TARGET.search(text)) else "",
            )
            for name, engine, comment, text in client.execute(
                "SELECT name, engine, comment, create_table_query FROM system.tables"
                " WHERE database = currentDatabase() ORDER BY name"
            )
        ]
        return [
            replace(each, columns=_of_parameterised(client, each, found)) if each.parameters else each
            for each in found
        ]


def _columns(client: Client) -> dict[str, list[Column]]:
    found: dict[str, list[Column]] = {}
    for table, *column in client.execute(
        "SELECT table, name, type, comment FROM system.columns WHERE database = currentDatabase()"
        " AND default_kind != 'MATERIALIZED' ORDER BY table, position"
    ):
        found.setdefault(table, []).append(Column(*column))
    return found


def _of_parameterised(client: Client, view: Relation, others: Sequence[Relation]) -> tuple[Column, ...]:
    """Columns of a view that the server describes only when it is asked, with the comments of the view that it is most like."""
    arguments = ", ".join(f"{name} = {_any_value(kind)}" for name, kind in view.parameters)
    described = client.execute(f"DESCRIBE TABLE (SELECT * FROM {view.name}({arguments}))")  # noqa: S608 - the database's own names
    names = {name for name, *_ in described}
    closest = max(
        (other for other in others if not other.parameters),
        key=lambda other: len(names & {column.name for column in other.columns}),
    )
    comments = {column.name: column.comment for column in closest.columns}
    return tuple(Column(name, kind, comments.get(name, "")) for name, kind, *_ in described)


def _any_value(kind: str) -> str:
    return "'2000-01-01 00:00:00'" if kind.startswith("Date") else "''" if "String" in kind else "0"


def as_markdown(relations: Sequence[Relation]) -> str:
    """The page: what analysts read first, then what is internal."""
    read = [each for each in relations if not each.is_internal]
    internal = [each for each in relations if each.is_internal]
    lines = [_HEAD, *_summary(read)]
    for relation in read:
        lines += _section(relation)
    lines += ["## Internal", "", *_summary(internal)]
    return "\n".join(lines)


def _summary(relations: Sequence[Relation]) -> Iterator[str]:
    yield from ("| Name | Kind | What it is |", "|---|---|---|")
    for each in relations:
        name = f"`{each.name}`" if each.is_internal else f"[`{_call(each)}`](#{each.name})"
        yield f"| {name} | {each.kind} | {_cell(each.comment)} |"
    yield ""


def _section(relation: Relation) -> Iterator[str]:
    yield from (f"## {relation.name}", "", f"{_text(relation.comment)}", "")
    yield from ("| Column | Type | Comment |", "|---|---|---|")
    for column in relation.columns:
        yield f"| `{column.name}` | `{column.type}` | {_cell(column.comment)} |"
    yield ""


def _call(relation: Relation) -> str:
    arguments = ", ".join(f"{name} = …" for name, _ in relation.parameters)
    return f"{relation.name}({arguments})" if arguments else relation.name


def _text(comment: str) -> str:
    """A comment as Markdown: underscores and asterisks of names and statements are no emphasis."""
    return re.sub(r"([_*<])", r"\\\1", comment)


def _cell(text: str) -> str:
    return _text(text).replace("|", r"\|")
