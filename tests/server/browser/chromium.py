"""Brings Chromium and axe once into a folder of the user's cache: by npm, against the checksums of the lock file beside this."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import brotli
from assets.hatch_build import install

from parallelm.mcenter.local_stack.kafka_jars import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Tools:
    """What was unpacked."""

    folder: Path

    @property
    def chromium(self) -> Path:
        """The program."""
        return self.folder / "chromium"

    @property
    def environment(self) -> dict[str, str]:
        """Its libraries (nss and others), for machines that lack them, come after the machine's own."""
        own = str(self.folder / "al2023" / "lib")
        return {
            **os.environ,
            "LD_LIBRARY_PATH": ":".join(filter(None, (os.environ.get("LD_LIBRARY_PATH"), own))),
        }

    @property
    def axe(self) -> str:
        """Source of axe-core."""
        return (self.folder / "axe.min.js").read_text(encoding="utf-8")


def browser_tools() -> Tools:
    """Fetched and unpacked once a lock file, whoever asks at the same time."""
    locked = hashlib.sha256((_HERE / "package-lock.json").read_bytes()).hexdigest()
    base = cache_folder() / "browser"
    base.mkdir(parents=True, exist_ok=True)
    target = base / locked[:16]
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=base) as folder:
                ready = Path(folder) / "ready"
                _unpack(install(_HERE, Path(folder)), ready)
                ready.rename(target)
    return Tools(target)


@contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium. Playwright keeps an event loop running in this thread meanwhile."""
    from playwright.sync_api import sync_playwright

    tools = browser_tools()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=tools.chromium,
            env=tools.environment,
            args=["--no-sandbox", "--headless=shell", "--disable-gpu"],
        )
        try:
            yield chromium
        finally:
            chromium.close()


def _unpack(modules: Path, ready: Path) -> None:
    ready.mkdir()
    packed = modules / "@sparticuz" / "chromium" / "bin"
    program = ready / "chromium"
    program.write_bytes(brotli.decompress((packed / "chromium.br").read_bytes()))
    program.chmod(0o755)
    for archive in packed.glob("*.tar.br"):
        with tarfile.open(fileobj=io.BytesIO(brotli.decompress(archive.read_bytes()))) as opened:
            opened.extractall(ready / archive.name.removesuffix(".tar.br"), filter="data")
    shutil.copyfile(modules / "axe-core" / "axe.min.js", ready / "axe.min.js")
