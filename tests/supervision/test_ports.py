"""Ports stay the same from start to start, and one that is in use is reported with its owner."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from parallelm.supervision.errors import PortUnavailableError
from parallelm.supervision.ports import PortClaims, choose_ports, is_free


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_named_port_that_is_taken_names_its_owner(taken: int):
    with pytest.raises(
        PortUnavailableError, match=rf"port {taken}, wanted for kafka, is in use by pid {os.getpid()}"
    ):
        choose_ports({"kafka": taken}, {})


def test_a_named_port_wins_over_the_earlier_one():
    wanted = choose_ports({"kafka": None}, {})["kafka"]

    assert choose_ports({"kafka": wanted}, {"kafka": 1}) == {"kafka": wanted}


def test_the_earlier_port_is_taken_again():
    first = choose_ports({"kafka": None, "clickhouse": None}, {})

    assert choose_ports({"kafka": None, "clickhouse": None}, first) == first


def test_an_earlier_port_that_is_taken_by_now_gives_way(taken: int):
    chosen = choose_ports({"kafka": None}, {"kafka": taken})["kafka"]

    assert chosen != taken
    assert is_free(chosen)


def test_a_port_named_for_one_service_is_not_given_to_another():
    named = choose_ports({"kafka": None}, {})["kafka"]

    chosen = choose_ports({"clickhouse": None, "kafka": named}, {"clickhouse": named})

    assert chosen["kafka"] == named
    assert chosen["clickhouse"] != named


def test_two_services_named_the_same_port_are_refused():
    port = choose_ports({"kafka": None}, {})["kafka"]

    with pytest.raises(PortUnavailableError, match=f"port {port} is named for both kafka and clickhouse"):
        choose_ports({"kafka": port, "clickhouse": port}, {})


@pytest.mark.skipif(sys.platform != "linux", reason="claims are the Linux kernel's")
def test_stacks_that_start_at_once_are_not_given_one_port():
    usual = choose_ports({"server": None}, {})
    with PortClaims() as first:
        assert choose_ports({"server": None}, usual, first.claim) == usual
        with PortClaims() as second:
            assert choose_ports({"server": None}, usual, second.claim) != usual
            with pytest.raises(PortUnavailableError, match="another stack that starts"):
                choose_ports(dict(usual), {}, second.claim)
        assert choose_ports({"server": None}, usual, first.claim) == usual
    with PortClaims() as third:
        assert choose_ports({"server": None}, usual, third.claim) == usual
