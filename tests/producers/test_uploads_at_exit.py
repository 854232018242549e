"""Models of programs that end without ``done()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.producers.conftest import Component


def test_at_the_end_of_a_program_a_store_can_still_look_up_its_host(component: Component) -> None:
    """As those of S3 and GCS do, in the executor of fsspec's event loop."""
    component.run(
        """
import asyncio, fsspec, fsspec.asyn, shutil
from pathlib import Path
from parallelm.mlops import mlops
class Hosted(fsspec.asyn.AsyncFileSystem):
    protocol = "hosted"
    async def _makedirs(self, path, exist_ok=False):
        pass
    async def _put_file(self, local, path, **options):
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)
        shutil.copyfile(local, "uploaded.txt")
fsspec.register_implementation("hosted", Hosted)
mlops.init()
Path("weights.txt").write_text("w")
model = mlops.Model("m", "Text")
model.set_model_path("weights.txt")
mlops.publish_model(model)
""",
        timeout_s=45,  # uploads that are given up take a minute
        MCENTER_ARTIFACTS_URL="hosted://models",
    )
    (announced,) = component.records("models", bool)
    assert announced.artifact_url.startswith("hosted://models/app/")
    assert (component.folder / "uploaded.txt").read_text() == "w"
