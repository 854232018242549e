"""What browsers load beside pages: packed, and stored by them as long as its address stays, which changes with the file."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope


class _Versioned(StaticFiles):
    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        if scope["query_string"]:
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


def static_files(directory: Path) -> ASGIApp:
    """The files of a folder."""
    return GZipMiddleware(_Versioned(directory=directory), minimum_size=1_000, compresslevel=6)
