"""A session as a JSON Web Token, for programs that expect one: it says whose it is and until when, and carries the session's secret.

The secret alone decides, as in a cookie; the signature, by the secret itself, is for readers that look for one. It begins with
``PREFIX``, so that it counts in such a token only: nobody makes a browser's session of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

PREFIX = "jwt_"
_PARTS = 3


def as_token(secret: str, name: str, issued_s: int, expires_s: int) -> str:
    """The token of a session."""
    claims = {"sub": name, "iat": issued_s, "exp": expires_s, "jti": secret}
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def secret_in(token: str) -> str | None:
    """The session's secret; None for what is no such token, as for the secret of a browser's session."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    found = claims.get("jti") if isinstance(claims, dict) else None
    return found if isinstance(found, str) and found.startswith(PREFIX) else None


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
