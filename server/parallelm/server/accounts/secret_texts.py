"""Texts that open something: 32 random bytes for whom they are for, a digest of them in the database."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_secret() -> str:
    """Fit for URLs and headers."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What the database keeps. A random text needs no slow hash: nobody can guess it."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def derived(secret: str, purpose: str) -> str:
    """Another secret, which tells nothing about the first one."""
    return hmac.digest(secret.encode(), purpose.encode(), "sha256").hex()
