"""One real Kafka broker and one real ClickHouse engine for the session; fresh topics and database for each test."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import signal
import sys
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from parallelm.connections import Settings, load_settings
from tests.made_once import MadeOnce, delete_topics, drop_database
from tests.scheduling import RoomScheduling, turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer

# A suite that a script runs in its background inherits that Ctrl-C is ignored, and would hand it down to the programs it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a worker has compiled, of the tests and of the rooms, is there for other workers and for the programs under test, also where
# PYTHONDONTWRITEBYTECODE is set: each of them would compile it again. Those programs still write nothing beside what they run.
sys.dont_write_bytecode = False

# Hypothesis's limits on seconds (0.2 an example, one for ten inputs) would fail tests of a machine that has other things to do.
_PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
# `make test` gives every run the same examples; `make fuzz` is where chance belongs. Neither replays earlier failures:
# what a run does follows from the code, and from the seed that `make fuzz` prints.
hypothesis_settings.register_profile("same", _PATIENT, derandomize=True, database=None)
hypothesis_settings.register_profile("fuzz", _PATIENT, derandomize=False, database=None, max_examples=1000)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "same")


class Room(pytest.Package):
    """A folder of tests. A fixture of its ``conftest.py`` with the scope "package" ends with the folder's last test in a worker."""

    def setup(self) -> None:
        """Nothing: pytest's own would import an ``__init__.py``."""


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> Room:
    """Platforms that run on to the end of the session, used by nobody, cost all other tests of the machine."""
    return Room.from_parent(parent, path=path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in their turn."""
    items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> RoomScheduling | None:
    """How tests are given to workers."""
    return RoomScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


_OPENED = pytest.StashKey[ExitStack]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Close what the session has opened, after its last fixtures; not in one, since the wait for other workers is no part of a test."""
    if _OPENED in session.config.stash:
        session.config.stash[_OPENED].close()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a running broker and engine; ``MCENTER_TEST_CONFIG`` names the mcenter.toml of one to use instead."""
    running = os.environ.get("MCENTER_TEST_CONFIG")
    if running:
        return load_settings({}, file=Path(running), role="admin")
    own = tmp_path_factory.getbasetemp()
    opened = request.config.stash[_OPENED] = ExitStack()
    return opened.enter_context(
        stack_of_all_workers(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
    )


@contextmanager
def stack_of_all_workers(folder: Path) -> Iterator[Settings]:
    """Settings of a stack that the first worker who asks for it starts, and stops when no other uses it any more."""
    from parallelm.mcenter.local_stack import LocalStack

    with (
        ExitStack() as owned,
        (folder / "changing").open("w") as changing,
        (folder / "used").open("w") as used,
    ):
        fcntl.flock(changing, fcntl.LOCK_EX)
        is_up = folder / "up"
        is_owner = not is_up.exists()
        if is_owner:
            owned.enter_context(LocalStack(folder / "stack", services=("kafka", "clickhouse")))
            is_up.touch()
        fcntl.flock(used, fcntl.LOCK_SH)
        fcntl.flock(changing, fcntl.LOCK_UN)
        yield load_settings({}, file=folder / "stack" / "mcenter.toml", role="admin")
        fcntl.flock(used, fcntl.LOCK_UN)
        if is_owner:
            # Who asks for it from now on waits, and starts one of its own.
            fcntl.flock(changing, fcntl.LOCK_EX)
            fcntl.flock(used, fcntl.LOCK_EX)
            is_up.unlink()
            owned.close()


@pytest.fixture(scope="session")
def made_once(stack: Settings) -> Iterator[MadeOnce]:
    """What tests hand on to the next."""
    made = MadeOnce()
    yield made
    made.close(stack)


@pytest.fixture
def settings(request: pytest.FixtureRequest, stack: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings of this test's own. Topics and tables are not made unless the test uses ``topics`` and ``tables``."""
    has_topics, has_tables = (name in request.fixturenames for name in ("topics", "tables"))
    with settings_of_a_test(stack, tmp_path) as own:
        if not has_topics and not has_tables:
            yield own
            return
        made: MadeOnce = request.getfixturevalue("made_once")
        with made.lent(own, topics=has_topics, tables=has_tables) as filled:
            yield filled


@pytest.fixture
def topics(settings: Settings) -> Settings:
    """``settings`` whose topics are there, and empty. For tests that neither change nor delete one."""
    return settings


@pytest.fixture
def tables(settings: Settings) -> Settings:
    """``settings`` whose database is migrated, and empty."""
    return settings


@contextmanager
def settings_of_a_test(stack: Settings, folder: Path) -> Iterator[Settings]:
    """Settings with a topic prefix, a database and an artifact folder of this test's own. Topics and tables are not made.

    What the test has made of them is deleted after it: one small broker holds some thousand partitions, not all tests'.
    """
    name = f"t{uuid.uuid4().hex[:10]}"
    own = dataclasses.replace(
        stack,
        kafka=dataclasses.replace(stack.kafka, topic_prefix=f"{name}."),
        clickhouse=dataclasses.replace(stack.clickhouse, database=name),
        artifacts=dataclasses.replace(stack.artifacts, url=(folder / "artifacts").as_uri()),
        component=dataclasses.replace(stack.component, outbox_folder=str(folder / "outbox")),
    )
    yield own
    delete_topics(own)
    drop_database(own)
