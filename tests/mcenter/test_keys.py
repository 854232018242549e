"""Keys that sign models, and signatures made apart from the platform."""

from __future__ import annotations

import hashlib
import stat
from typing import TYPE_CHECKING

from click.testing import CliRunner

from parallelm.mcenter.cli import cli
from parallelm.schemas.model_signatures import SignedModel, signer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def run(*arguments: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    done = CliRunner().invoke(cli, list(arguments), env=env)
    assert done.exit_code == code, done.output
    return done.output.strip()


def test_a_key_is_made_once_readable_by_its_owner_only_and_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    file, model = tmp_path / "key.pem", tmp_path / "model.onnx"
    key_id = run("keys", "generate", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("keys", "show", str(file)) == key_id
    assert "is there already" in run("keys", "generate", str(file), code=1)
    assert run("keys", "show", str(file)) == key_id
    model.write_bytes(b"weights")
    options = ("--mlapp", "flights", "--format", "Onnx", "--model-id", "m1")
    assert "there is no key to sign with" in run("models", "sign", str(model), *options, code=1)
    signature = run(
        "models", "sign", str(model), *options, env={"MCENTER_ARTIFACTS_SIGNING_KEY_FILE": str(file)}
    )
    signed = SignedModel(
        mlapp_id="flights", model_id="m1", name="model.onnx", format="Onnx", file_name="model.onnx", is_directory=False,
        size_bytes=7, sha256=hashlib.sha256(b"weights").hexdigest(),
    )  # fmt: skip
    assert signer(signed, signature) == key_id


def test_a_file_that_is_no_key_is_told(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    assert "cannot be read" in run("keys", "show", str(tmp_path / "x"), code=1)
