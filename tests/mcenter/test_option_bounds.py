"""Numbers and names given to commands that no command can work with: refused with exit code 2, before anything runs."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from parallelm.mcenter.cli import cli

NOT_NUMBERS = ("nan", "inf", "-1")


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize(
    "command",
    [
        ("doctor", "--timeout"),
        ("tail", "statistics", "--no-follow", "--timeout"),
        ("topics", "list", "--timeout"),
        ("topics", "create", "--timeout"),
        ("topics", "check", "--timeout"),
        ("schemas", "serve", "--port"),
        ("sink", "--flush-ms"),
        ("sink", "--session-timeout-s"),
        ("sink", "--retry-limit-s"),
        ("sink", "--dead-letter-run"),
        ("sink", "--dead-letter-ratio"),
        ("processors", "--session-timeout-s"),
        ("up", "--kafka-port"),
    ],
    ids=" ".join,
)
def test_a_number_out_of_bounds_is_refused(command: tuple[str, ...], value: str) -> None:
    refused(*command, value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("schemas", "serve", "--port", "65536"),
        ("sink", "--session-timeout-s", "0"),
        ("processors", "--session-timeout-s", "0"),
        ("sink", "--dead-letter-ratio", "1.5"),
        ("sink", "--topics", ""),
        ("kpis", "upload", "-", "--mlapp", " "),
    ],
    ids=" ".join,
)
def test_what_no_command_can_mean_is_refused(arguments: tuple[str, ...]) -> None:
    refused(*arguments)


def refused(*arguments: str) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2, done.output
    assert f"Invalid value for '{arguments[-2]}'" in done.output.replace("for --topics", "for '--topics'")
