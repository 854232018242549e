"""Bodies of answers: JSON without spaces, compressed where that saves a packet."""

from __future__ import annotations

import gzip
import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

_WORTH_PACKING: Final = 1_400


def packed(request: Request, body: str) -> Response:
    """JSON as an answer, compressed where that saves a packet."""
    data, headers = packed_body(request, body.encode())
    return Response(data, media_type="application/json", headers={"Cache-Control": "no-store", **headers})


def packed_body(request: Request, data: bytes) -> tuple[bytes, dict[str, str]]:
    """A body, compressed where that saves a packet, and what the answer's headers say of it."""
    headers = {"Vary": "Accept-Encoding"}
    if len(data) > _WORTH_PACKING and "gzip" in request.headers.get("accept-encoding", ""):
        data, headers["Content-Encoding"] = gzip.compress(data, 5), "gzip"
    return data, headers


def compact(body: Any) -> str:
    """JSON without what only people need."""
    return json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
