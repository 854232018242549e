"""The demo's figures in the terminal."""

from __future__ import annotations

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


def print_figures(console: Console, figures: Figures) -> None:
    """Print every table under its question, and what became of the broken model under the table that shows it."""
    for answer in figures.tables:
        console.print(f"\n[bold]{answer.question}[/bold]")
        console.print(Padding(answer.explanation, (0, 0, 0, 2)), style="dim")
        console.print(Padding(_table(answer), (0, 0, 0, 2)))
        if answer is figures.decisions and figures.broken_model:
            console.print(Padding(fate_of_broken_model(figures), (1, 0, 0, 2)), style="red")


def print_transcript(console: Console, transcript: Sequence[tuple[str, str]]) -> None:
    """Print the commands that people typed, each with its answer."""
    console.print("\n[bold]What people typed, and what the platform answered[/bold]")
    for command, printed in transcript:
        console.print(f"\n  $ {command}", style="bold cyan", markup=False, highlight=False, soft_wrap=True)
        for line in printed.splitlines():
            console.print(f"  {visible(line)}", markup=False, highlight=False, soft_wrap=True)


def print_notifications(console: Console, titles: Sequence[str]) -> None:
    """Print what the receiver was told, in the order of arrival."""
    console.print("\n[bold]What the dispatchers were told[/bold]")
    for title in titles:
        console.print(f"  {visible(title)}", markup=False, highlight=False, soft_wrap=True)


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
