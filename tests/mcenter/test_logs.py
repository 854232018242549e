"""What services log: JSON where no person looks, lines on request, without secrets."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """\
import logging
from parallelm.connections import LogSettings
from parallelm.mcenter.logs import log_as_service
log_as_service(LogSettings(level={level!r}, format={format!r}), service="sink")
log = logging.getLogger("parallelm.sinks")
log.debug("a detail")
log.warning("topic %s: password=%s", "mlops.kpis", "hunter2", extra={{"partition": 3}})
try:
    raise ValueError("a\\nb")
except ValueError:
    log.exception("it failed")
"""


def logged(level: str = "INFO", form: str = "auto") -> list[str]:
    program = PROGRAM.format(level=level, format=form)
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_without_a_terminal_each_line_is_a_json_object():
    first, second = (json.loads(line) for line in logged())
    assert first["event"] == "topic mlops.kpis: password=*****"
    assert (first["level"], first["logger"], first["service"]) == ("warning", "parallelm.sinks", "sink")
    assert first["partition"] == 3
    assert first["timestamp"].endswith("Z")
    assert second["event"] == "it failed"
    assert "ValueError: a\nb" in second["exception"]


def test_the_level_is_a_setting():
    assert [json.loads(line)["level"] for line in logged("DEBUG")] == ["debug", "warning", "error"]
    assert [json.loads(line)["level"] for line in logged("ERROR")] == ["error"]


def test_lines_for_people_on_request():
    line = logged(form="text")[0]
    assert "WARNING parallelm.sinks: topic mlops.kpis" in line
