"""The demo's figures in the terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table

from parallelm.mcenter.demo.cells import heading, is_number, rows
from parallelm.mcenter.demo.fate import fate_of_broken_model
from parallelm.mcenter.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from parallelm.mcenter.demo.figures import Answer, Figures


SHOWN_LINES = 8
"""Lines of what a command printed; the report has all."""
SHOWN_TITLES = 12
BEGINNINGS = ("canary", "awaiting_approval")
"""States that decide nothing."""


def print_figures(console: Console, figures: Figures) -> None:
    """Print how the story of the models ended, how good these were and which alerts fired; the report has all figures."""
    frame = figures.decisions.frame
    ends = replace(figures.decisions, frame=frame[~frame["state"].isin(BEGINNINGS)])
    for answer in (ends, figures.live_models, figures.alerts):
        console.print(f"\n[bold]{answer.question}[/bold]")
        console.print(Padding(answer.explanation, (0, 0, 0, 2)), style="dim")
        console.print(Padding(_table(answer), (0, 0, 0, 2)))
        if answer is ends and figures.broken_model:
            console.print(Padding(fate_of_broken_model(figures), (1, 0, 0, 2)), style="red")


def print_transcript(console: Console, transcript: Sequence[tuple[str, str]]) -> None:
    """Print the commands that people typed, each with the first lines of its answer."""
    console.print("\n[bold]What people typed, and what the platform answered[/bold]")
    for command, printed in transcript:
        console.print(f"  $ {command}", style="bold cyan", markup=False, highlight=False, soft_wrap=True)
        lines = printed.splitlines()
        for line in lines[:SHOWN_LINES]:
            _print_whole(console, f"  {visible(line)}"[: console.width])
        _say_rest(console, len(lines) - SHOWN_LINES, "lines")


def print_notifications(console: Console, titles: Sequence[str]) -> None:
    """Print the first notifications that the receiver got, in the order of arrival."""
    console.print("\n[bold]What the dispatchers were told[/bold]")
    for title in titles[:SHOWN_TITLES]:
        _print_whole(console, f"  {visible(title)}"[: console.width])
    _say_rest(console, len(titles) - SHOWN_TITLES, "notifications")


def _print_whole(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _say_rest(console: Console, left_out: int, what: str) -> None:
    if left_out > 0:
        console.print(f"  … {left_out} more {what} in the report", style="dim")


def _table(answer: Answer) -> Table | str:
    frame = answer.frame[list(answer.shown)] if answer.shown else answer.frame
    if frame.empty:
        return "none"
    table = Table(box=None, pad_edge=False, header_style="bold cyan")
    for name in frame:
        table.add_column(heading(str(name)), justify="right" if is_number(frame[name]) else "left")
    for row in rows(frame):
        table.add_row(*map(visible, row))
    return table
