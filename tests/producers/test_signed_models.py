"""Models are signed when they are published with a key, and not used when they are not signed as the settings demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from parallelm.connections import ArtifactSettings, Settings
from parallelm.mlops._delivery.encoding.topic_records import model_announcement
from parallelm.mlops._models.download import fetch
from parallelm.mlops._models.outbox import ModelToPublish, Outbox
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.models.model import Artifact
from parallelm.schemas.model_signatures import key_id_of, new_key, sign, signed_model, signed_row
from parallelm.schemas.records import Origin

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.schemas.records import ModelAnnouncement

OURS, NEXT, STRANGER = (new_key().decode() for _ in range(3))
ORIGIN = {"mlapp_id": "flights", "node_id": "train", "pipeline_instance_id": "", "agent_id": "host"}


def published(folder: Path, key: str, model_id: str) -> ModelAnnouncement:
    """A model that a component has published, as it is announced."""
    file = folder / "model.bin"
    file.write_bytes(b"weights")
    model = ModelToPublish(
        path=file, model_id=model_id, name="trees", format="Binary", description="", is_directory=False,
        annotations={}, owner="", train_version="", model_version="", time_ns=1,
    )  # fmt: skip
    entry = Outbox(folder / "outbox", "here", key).put(model, ORIGIN)
    return model_announcement(entry.manifest, entry.artifact.as_uri())(Origin(**ORIGIN), "p", 0)


def row(announced: ModelAnnouncement, **changes: Any) -> dict[str, Any]:
    """As the warehouse has it."""
    names = ("model_id", "name", "format", "file_name", "is_directory", "size_bytes", "sha256", "signature")
    return {"mlapp_id": "flights"} | {name: getattr(announced, name) for name in names} | changes


def download(announced: ModelAnnouncement, trusted: str, folder: Path, **changes: Any) -> bytes:
    said = row(announced, **changes)
    artifact = Artifact(
        announced.artifact_url,
        is_directory=False,
        size_bytes=said["size_bytes"],
        sha256=said["sha256"],
        announced=said,
    )
    settings = Settings(artifacts=ArtifactSettings(trusted_keys=trusted))
    fetch("the model", artifact, folder / "downloaded", settings)
    return (folder / "downloaded").read_bytes()


def trust(*keys: str) -> str:
    return ", ".join(key_id_of(key) for key in keys)


@pytest.fixture
def model_id(request: pytest.FixtureRequest) -> str:
    """A process publishes an id once."""
    return f"m-{abs(hash(request.node.name)):x}"


def test_with_a_key_models_are_signed_and_used_where_it_is_trusted(tmp_path: Path, model_id: str):
    announced = published(tmp_path, OURS, model_id)
    assert announced.signature == sign(OURS, signed_model(announced))
    assert download(announced, trust(OURS), tmp_path) == b"weights"
    assert download(announced, trust(NEXT, OURS), tmp_path) == b"weights", (
        "while keys are changed both are trusted"
    )
    assert download(announced, "", tmp_path) == b"weights"


def test_without_keys_nothing_is_signed_and_nothing_is_asked(tmp_path: Path, model_id: str):
    announced = published(tmp_path, "", model_id)
    assert announced.signature == ""
    assert download(announced, "", tmp_path) == b"weights"


@pytest.mark.parametrize(
    ("key", "trusted", "changes", "why"),
    [
        ("", trust(OURS), {}, "it is not signed"),
        (STRANGER, trust(OURS, NEXT), {}, "none of the trusted ones"),
        (OURS, trust(NEXT), {}, "none of the trusted ones"),
        (OURS, trust(OURS), {"name": "other"}, "does not fit"),
        (OURS, trust(OURS), {"mlapp_id": "other"}, "does not fit"),
        (OURS, "", {"name": "other"}, "does not fit"),
        (OURS, trust(OURS), {"signature": "ed25519:a:b"}, "form that is not known"),
        (OURS, "abc", {}, "'abc' is no id of a key"),
    ],
    ids=["unsigned", "unknown key", "revoked key", "name", "MLApp", "nobody asks", "no signature", "wrong setting"],
)  # fmt: skip
def test_any_other_model_is_not_used(
    tmp_path: Path, model_id: str, key: str, trusted: str, changes: dict[str, Any], why: str
):
    announced = published(tmp_path, key, model_id)
    with pytest.raises(MLOpsException, match=why):
        download(announced, trusted, tmp_path, **changes)
    assert not (tmp_path / "downloaded").exists()


def test_other_bytes_are_not_used_even_when_the_announcement_was_changed_with_them(
    tmp_path: Path, model_id: str
):
    announced = published(tmp_path, OURS, model_id)
    evil = tmp_path / "evil"
    evil.write_bytes(b"evil!!!")
    from parallelm.mlops._models.outbox import measure

    size_bytes, sha256 = measure(evil)
    said = row(announced, size_bytes=size_bytes, sha256=sha256)
    artifact = Artifact(evil.as_uri(), False, size_bytes, sha256, said)
    settings = Settings(artifacts=ArtifactSettings(trusted_keys=trust(OURS)))
    with pytest.raises(MLOpsException, match="does not fit"):
        fetch("the model", artifact, tmp_path / "downloaded", settings)
    moved = sign(OURS, signed_row(row(announced, model_id="another")))
    with pytest.raises(MLOpsException, match="does not fit"):
        download(announced, trust(OURS), tmp_path, signature=moved)


def test_a_key_that_cannot_be_used_is_told_when_a_model_is_published(tmp_path: Path, model_id: str):
    with pytest.raises(MLOpsException, match="the signing key cannot be read"):
        published(tmp_path, "no key", model_id)
