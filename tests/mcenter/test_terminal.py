"""Control characters in what others wrote never reach a terminal raw; files and pipes hold what was written."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import NewTopic
from hypothesis import given
from hypothesis import strategies as st

from parallelm.connections import save_settings
from parallelm.mcenter.cells import as_json
from parallelm.mcenter.cli import cli
from parallelm.mcenter.local_stack.output import FileOutput, TerminalOutput
from parallelm.mcenter.logs import VisibleFormatter
from parallelm.mcenter.tables import as_table
from parallelm.mcenter.terminal import visible
from parallelm.schemas.codec import Codec
from parallelm.schemas.records import Event, Origin
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from tests.made_topics import make_topics

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.connections import Settings

WAIT_S = 120
EVIL = "a\x1b]0;owned\x07\x1b[2J\u202egnp.exe\x9b31m\r\nforged\x7f\u2028\u200b"
"""Sets the title, clears the screen, turns text around, colours it by C1, forges a line, hides characters."""


def is_harmless(text: str) -> bool:
    """Whether a terminal shows every character of it, and obeys none."""
    return not any(
        unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text.replace("\n", "")
    )


def on_a_terminal(*arguments: str) -> str:
    """What ``mcenter`` writes when its output is a terminal; the terminal's own line ends are taken back."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "parallelm.mcenter", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"NO_COLOR": "1"},
        )
        os.close(theirs)
        written = b""
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:
                # How Linux reports that the other end is closed.
                break
            if not chunk:
                break
            written += chunk
        process.wait(WAIT_S)
    finally:
        os.close(ours)
    return written.decode().replace("\r\n", "\n")


@pytest.fixture
def configured(tables: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    config = tmp_path / "mcenter.toml"
    save_settings(tables, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))
    return tables


@given(st.text())
def test_what_is_visible_is_harmless_and_plain_text_stays(text: str):
    shown = visible(text.replace("\u200c", "").replace("\u200d", ""))
    assert is_harmless(shown)
    assert "\n" not in shown
    if is_harmless(text) and "\n" not in text:
        assert shown == text


def test_escapes_say_which_character_it_was():
    assert visible("\x1b[2J\x9b\u202e\ud800\U000e0041\t\n") == "\\x1b[2J\\x9b\\u202e\\ud800\\U000e0041\\t\\n"
    assert visible(
        "Zufriedenheit \u00fc, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, \u7d71\u8a08 \U0001f469\u200d\U0001f52c"
    ) == (
        "Zufriedenheit \u00fc, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, \u7d71\u8a08 \U0001f469\u200d\U0001f52c"
    )


@given(st.text())
def test_json_is_harmless_and_true(text: str):
    written = as_json({text: [text]})
    assert is_harmless(written.replace("\u200c", "").replace("\u200d", ""))
    assert json.loads(written) == {text: [text]}


def test_a_table_keeps_a_row_on_its_line():
    lines = as_table([{"name": EVIL, "n": 1}, {"name": "\u7d71\u8a08", "n": 22}]).split("\n")
    assert len(lines) == 3
    assert all(is_harmless(line) for line in lines)
    assert lines[2].endswith(" 22")


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_query_on_a_terminal_is_harmless(form: str):
    sql = f"SELECT unhex('{EVIL.encode().hex()}') AS name, map('k', name) AS labels, [name] AS list"
    shown = on_a_terminal("query", sql, "--format", form)
    assert is_harmless(shown)
    assert "forged" in shown
    assert not any(line.startswith("forged") for line in shown.splitlines())


@pytest.mark.usefixtures("configured")
def test_files_and_pipes_hold_what_was_written(tmp_path: Path):
    sql = f"SELECT unhex('{EVIL.encode().hex()}') AS name"
    piped = CliRunner().invoke(cli, ["query", sql, "--format", "csv"]).stdout_bytes.decode()
    assert piped == f'name\n"{EVIL}"\n'
    file = tmp_path / "names.csv"
    CliRunner().invoke(cli, ["query", sql, "--format", "csv", "-o", str(file)])
    assert file.read_bytes().decode() == piped
    assert json.loads(CliRunner().invoke(cli, ["query", sql, "--format", "json"]).stdout) == [{"name": EVIL}]
    assert is_harmless(CliRunner().invoke(cli, ["query", sql]).stdout)


def test_records_on_a_terminal_are_harmless(configured: Settings):
    topic = f"{configured.kafka.topic_prefix}events"
    make_topics(configured, NewTopic(topic, 1))
    event = Event(
        origin=Origin(mlapp_id=EVIL, node_id=EVIL, pipeline_instance_id="1", agent_id=EVIL),
        producer_id="p",
        seq=0,
        event_time_ms=1,
        event_id="1",
        type="GenericEvent",
        title=EVIL,
        description=EVIL,
        is_alert=False,
        model_id="",
        labels={EVIL: EVIL},
        content_type=EVIL,
        data=EVIL.encode(),
    )
    value = Codec(PackagedRegistry()).encode(event)
    records = [OutgoingRecord(topic, EVIL, value), OutgoingRecord(topic, EVIL.encode(), EVIL.encode())]
    write_and_confirm(configured, records)
    for options in ((), ("--json",)):
        shown = on_a_terminal("tail", "events", "--from", "beginning", *options)
        assert is_harmless(shown)
        assert len(shown.splitlines()) == 2
    row = json.loads(
        CliRunner().invoke(cli, ["tail", "events", "--json", "--from", "beginning", "--limit", "1"]).stdout
    )
    assert (row["key"], row["value"]["title"]) == (EVIL, EVIL)


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    "arguments",
    [
        ("query", f"SELECT '{EVIL}' AS x FROM nowhere"),
        ("tail", EVIL),
        ("kpis", "upload", f"no such {EVIL}.csv"),
        (EVIL,),
        ("correlate", EVIL),
        ("query", f"SELECT throwIf(1, '{EVIL}')"),
    ],
    ids=["query", "tail", "kpi", "command", "correlate", "server"],
)
def test_errors_are_harmless(arguments: tuple[str, ...]):
    shown = on_a_terminal(*arguments)
    assert "Error" in shown
    assert is_harmless(shown)


def test_an_uploaded_file_is_reported_harmlessly(configured: Settings, tmp_path: Path):
    prefix = configured.kafka.topic_prefix
    make_topics(configured, *(NewTopic(f"{prefix}{name}", 1) for name in ("kpis", "actions")))
    file = tmp_path / "evil \x1b[31m.csv"
    quoted = EVIL.replace('"', '""')
    file.write_bytes(f'kpi,timestamp,value\n"{quoted}",2013-01-31,1\nk,"{quoted}","{quoted}"\n'.encode())
    shown = on_a_terminal("kpis", "upload", str(file), "--skip-bad")
    # Progress is drawn by the command itself.
    shown = re.sub(r"\x1b\[\?25[lh]|\x1b\[K|\r(uploading[^\r\n]*)?", "", shown)
    assert is_harmless(shown)
    assert "1 point from 2013-01-31" in shown
    assert not any(line.startswith("forged") for line in shown.splitlines())


def test_lines_of_processes_and_logs_are_harmless(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    TerminalOutput().line("sink", f"got {EVIL}\tx")
    TerminalOutput().event("sink", EVIL.replace("\n", ""))
    shown = capsys.readouterr().out
    assert is_harmless(shown)
    assert len(shown.splitlines()) == 2
    record = logging.LogRecord("n", logging.WARNING, "f", 1, "node %s", (EVIL,), None)
    assert is_harmless(VisibleFormatter("%(message)s").format(record))
    output = FileOutput(tmp_path / "stack.log")
    output.event("sink", "\ud800")
    output._log.close()
    assert "\\ud800" in (tmp_path / "stack.log").read_text()
