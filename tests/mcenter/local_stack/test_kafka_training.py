"""One recorded start makes the next ones cheaper; nothing depends on it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from parallelm.mcenter.local_stack.kafka_broker import broker_command
from parallelm.mcenter.local_stack.kafka_jars import cache_folder, ensure_kafka
from tests.mcenter.local_stack.conftest import bare_environment

if TYPE_CHECKING:
    from pathlib import Path

MODULE = "parallelm.mcenter.local_stack.kafka_training"


@pytest.mark.long
def test_training_leaves_a_class_cache_that_the_broker_uses(tmp_path: Path):
    jars = ensure_kafka(cache_folder())
    classes = tmp_path / "classes.aot"
    assert not any(
        "AOTCache" in word for word in broker_command(jars, tmp_path / "kafka.properties", classes)
    )

    subprocess.run(
        [sys.executable, "-m", MODULE, str(classes)], env=bare_environment(), check=True, timeout=120
    )

    assert classes.stat().st_size > 10_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.aot", "training.lock"]
    assert f"-XX:AOTCache={classes}" in broker_command(jars, tmp_path / "kafka.properties", classes)
