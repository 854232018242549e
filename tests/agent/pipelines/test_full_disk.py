"""A disk that is full while runs begin and are given models: a small one, really full."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from parallelm.agent.errors import RunRefusedError
from tests.agent.pipelines.host import RunnerHost
from tests.sinks.faults.small_disk import filled, small_disk
from tests.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path


def test_a_full_disk_is_cleaned_up_at_once_and_what_it_refused_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with small_disk(tmp_path / "agent", "16m") as is_mounted:
        if not is_mounted:
            pytest.skip("a disk of its own needs root")
        host = RunnerHost(tmp_path)
        component = tmp_path / "components" / "fit"
        component.mkdir(parents=True)
        (component / "component.yaml").write_text("name: fit\nprogram: fit.py\n")
        (component / "fit.py").write_text("print('fitted')\n")
        (component / "large").write_bytes(os.urandom(2_000_000))
        packed = host.publish_component(component)

        def left_behind() -> Path:
            """Much of a run that has ended, as old as its node keeps logs."""
            status = host.run({"command": "head -c 5000000 /dev/zero > rows"}, logs={"keep": "1ms"})
            host.runner.settle(status)
            host.runner._disk._clean_again_at_s = 0.0
            return host.folder / "agent" / "runs" / f"{status.key.run_id}.1" / "work" / "rows"

        serving = host.start(
            host.spec(
                {"command": "trap 'cat $MCENTER_MODEL_PATH | wc -c' HUP; while true; do sleep 0.1; done"},
                mode="online",
                model_delivery={"by": "signal"},
            )
        )
        rows = left_behind()
        with filled(host.folder / "agent", but_bytes=0):
            fit = {"component": "fit"}
            fitted = host.run(fit, components=[packed])
            assert fitted.outcome == "succeeded", fitted.message
            assert not rows.exists()
        rows = left_behind()
        with filled(host.folder / "agent", but_bytes=0):
            host.runner.deliver(serving, host.publish_model("m1", b"x" * 3_000_000, "d1"))
            wait_for(
                lambda: (now := host.status(serving)) is not None and now.deliveries, lambda: host.statuses
            )
            assert [(each.is_accepted, each.reason) for each in host.statuses[serving].deliveries] == [
                (True, "")
            ]
            assert not rows.exists()
        no_room = pytest.raises(RunRefusedError, match="of ended runs nothing more may be deleted yet")
        with filled(host.folder / "agent", but_bytes=0), no_room:
            host.start(host.spec({"command": "true"}))
        assert "nothing more may be deleted yet" in caplog.text
        host.close()
