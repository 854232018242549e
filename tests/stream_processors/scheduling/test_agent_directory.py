"""What the control plane knows of agents, read from the real broker, whatever stands on the topics."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.schemas.topics import AGENTS, HEARTBEATS
from parallelm.stream_processors import agent_directory
from parallelm.stream_processors.agent_directory import AgentDirectory
from tests.waiting import wait_for

from .tiny_agent import TinyAgent

if TYPE_CHECKING:
    from tests.stream_processors.live import Cluster


def test_records_that_nobody_can_read_hide_no_agent(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def heard_of() -> set[str]:
        views = directory.view(time.time_ns() // 1_000_000).views.values()
        return {each.agent_id for each in views if each.heard_of}

    with closing(AgentDirectory(own.settings, own.codec)) as directory, TinyAgent(own.settings, "host-a"):
        asyncio.run(directory.ready())
        wait_for(lambda: heard_of() == {"host-a"})
        for topic in (HEARTBEATS, AGENTS):
            own.send_bytes(topic, b"odd", None)
            own.send_bytes(topic, b"odd", b"\0nothing")
            own.send_bytes(topic, b"\xff", b"")
        own.flush()
        with TinyAgent(own.settings, "host-b"):
            wait_for(lambda: heard_of() == {"host-a", "host-b"})
        own.send_bytes(AGENTS, b"host-b", None)
        own.flush()
        wait_for(lambda: heard_of() == {"host-a"})
        asyncio.run(directory.ready())
        monkeypatch.setattr(agent_directory, "_STALE_S", -1.0)
        with pytest.raises(ClusterUnavailableError, match="not read for"):
            asyncio.run(directory.ready())
