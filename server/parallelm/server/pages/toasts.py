"""Results of actions as messages in a corner of the page, which also survive a change of page."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response


def toast(text: str, answer: Response | None = None, kind: str = "ok") -> Response:
    """Let an answer to htmx tell a result; without an answer it tells that and changes nothing on the page.

    ``kind`` "error" stays until it is closed: what was asked was not done, and the page shows how things are now.

    With ``HX-Redirect`` or ``HX-Refresh`` in the answer the message is shown on the page that comes.
    """
    answer = answer or Response(status_code=204)
    answer.headers["HX-Trigger"] = json.dumps({"toast": {"text": text, "kind": kind}})
    return answer


def refreshed(text: str) -> Response:
    """Tell a result on the same page, loaded anew."""
    return toast(text, Response(headers={"HX-Refresh": "true"}))


def gone_to(request: Request, path: str, text: str) -> Response:
    """Tell a result on another page of ours."""
    return toast(text, Response(headers={"HX-Redirect": f"{request.scope.get('root_path', '')}{path}"}))
