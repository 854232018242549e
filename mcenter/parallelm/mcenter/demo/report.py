"""The report: one HTML file that holds the picture, the tables, and the SQL behind each figure."""

from __future__ import annotations

import base64
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from parallelm.mcenter.demo.cells import heading, is_number, rows
from parallelm.mcenter.demo.fate import fate_of_broken_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from parallelm.mcenter.demo.figures import Answer, Figures

INTRODUCTION = (
    "From February on, every flight that left New York was predicted by the model that the platform had deployed. Every "
    "figure was read back from ClickHouse; its SQL is shown with it and runs unchanged in <code>mcenter query</code>."
)

_SHORT = 12
"""Characters of a date, a model or a state: texts up to this stay on one line."""


def write_report(
    figures: Figures,
    transcript: Sequence[tuple[str, str]],
    notifications: Sequence[str],
    timeline: Path,
    path: Path,
) -> None:
    """Write ``path``; nothing in it points outside the file."""
    template = Template((files("parallelm.mcenter.demo") / "report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=f"Flight delays, {_day(figures.start)} to {_day(figures.last_day)} {figures.start:%Y}",
        introduction=INTRODUCTION,
        facts="".join(f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in figures.facts),
        timeline=base64.b64encode(timeline.read_bytes()).decode("ascii"),
        picture="Bands are the models that were live on node predict, from the moment it had them.",
        picture_sql="".join(_sql(answer) for answer in figures.pictured if answer not in figures.tables),
        sections="\n".join(_section(answer, figures) for answer in figures.tables),
        notifications="".join(f"<li>{escape(title)}</li>" for title in notifications),
        transcript="\n".join(_command(command, printed) for command, printed in transcript),
    )
    path.write_text(page, encoding="utf-8")


def _command(command: str, printed: str) -> str:
    return f'<pre class="typed">$ {escape(command)}\n{escape(printed)}</pre>'


def _day(time: pd.Timestamp) -> str:
    return f"{time.day} {time:%B}"


def _section(answer: Answer, figures: Figures) -> str:
    broken = figures.broken_model
    cost = fate_of_broken_model(figures) if broken and answer is figures.decisions else ""
    return (
        f"<h2>{escape(answer.question)}</h2>\n<p>{escape(answer.explanation)}</p>\n{_table(answer, broken)}\n"
        + (f'<p class="cost">{escape(cost)}</p>\n' if cost else "")
        + _sql(answer)
    )


def _sql(answer: Answer) -> str:
    return (
        f"<details><summary>SQL: {escape(answer.question)}</summary><pre>{escape(answer.sql)}</pre></details>"
    )


def _table(answer: Answer, broken_model: str) -> str:
    frame = answer.frame
    if frame.empty:
        return "<p>none</p>"
    cells = list(rows(frame))
    texts = zip(*cells, strict=True)
    kinds = [_kind(frame[name], column) for name, column in zip(frame, texts, strict=True)]
    head = "".join(
        f"<th{kind}>{escape(heading(str(name)))}</th>" for name, kind in zip(frame, kinds, strict=True)
    )
    body = "\n".join(_row(row, kinds, broken_model) for row in cells)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _kind(column: pd.Series, texts: Sequence[str]) -> str:
    """Class of a column's cells: numbers are right-aligned, dates and names are never broken over lines."""
    if is_number(column):
        return ' class="number"'
    return ' class="short"' if max(map(len, texts)) <= _SHORT else ""


def _row(row: list[str], kinds: list[str], broken_model: str) -> str:
    cells = "".join(f"<td{kind}>{escape(text)}</td>" for text, kind in zip(row, kinds, strict=True))
    return f'<tr class="broken">{cells}</tr>' if broken_model in row else f"<tr>{cells}</tr>"
