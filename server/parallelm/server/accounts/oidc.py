"""Sign-in by an identity provider: OpenID Connect, authorization code with PKCE, state and nonce.

``begin`` remembers in the SQL database who was sent away, so that any process may see them come back; ``finish`` takes each
return once, and from the same browser only.
"""

from __future__ import annotations

import threading
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
from authlib.common.security import generate_token
from authlib.deprecate import AuthlibDeprecationWarning
from authlib.integrations.base_client import OAuthError
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete

from parallelm.server.accounts.secret_texts import digest, new_secret
from parallelm.server.accounts.tables import OidcRequest
from parallelm.server.errors import IdentityProviderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from parallelm.connections import ServerSettings
    from parallelm.server.accounts.database import Database

with warnings.catch_warnings():
    # It wants httpx2 of its users, and says so on the terminal of whoever starts a server.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.integrations.httpx_client import OAuth2Client

EXPIRES_S: Final = 600
_ALGORITHMS: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
"""Signatures with a public key: none, and none with a shared secret."""
_ADDRESSES: Final = ("authorization_endpoint", "token_endpoint")
_TIMEOUT_S: Final = 10.0
_CACHE_S: Final = 3600.0
_LEEWAY_S: Final = 60


@dataclass(frozen=True, slots=True)
class Sent:
    """Somebody who is sent to the identity provider."""

    url: str
    browser_secret: str
    """For a cookie."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who came back."""

    issuer: str
    subject: str
    name: str
    full_name: str
    groups: Sequence[str]
    go_on: str


class IdentityProvider:
    """What the settings name, with what it publishes of itself."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at_s = float("-inf")

    @property
    def is_there(self) -> bool:
        """Whether one is named."""
        return bool(self._settings.oidc_issuer)

    def begin(self, database: Database, redirect_uri: str, go_on: str, now_ms: int) -> Sent:
        """Raises ``IdentityProviderError`` when it cannot be reached."""
        metadata = self._published()[0]
        state, nonce, verifier, browser = new_secret(), new_secret(), generate_token(64), new_secret()
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
            )
        expected = OidcRequest(
            digest=digest(state),
            browser_digest=digest(browser),
            nonce=nonce,
            code_verifier=verifier,
            go_on=go_on[:2000],
            expires_ms=now_ms + EXPIRES_S * 1000,
        )
        with database.writing() as sql:
            sql.execute(delete(OidcRequest).where(OidcRequest.expires_ms < now_ms))
            sql.add(expected)
        return Sent(url, browser)

    def take(self, sql: Session, state: str, browser_secret: str, now_ms: int) -> OidcRequest:
        """Who is expected back; once. Raises ``IdentityProviderError``."""
        found = sql.get(OidcRequest, digest(state), with_for_update=True)
        if found is not None:
            sql.delete(found)
        if found is None or found.expires_ms < now_ms or found.browser_digest != digest(browser_secret):
            raise IdentityProviderError(
                "this browser has not begun this sign-in, or more than ten minutes ago; begin it again"
            )
        return found

    def identify(self, request: OidcRequest, redirect_uri: str, code: str) -> Identity:
        """Exchange the code for an ID token and check it. Raises ``IdentityProviderError``."""
        metadata, keys = self._published()
        try:
            with self._client(redirect_uri) as client:
                answer = client.fetch_token(
                    metadata["token_endpoint"], code=code, code_verifier=request.code_verifier
                )
            id_token = answer["id_token"]
            try:
                claims = jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims
            except (ValueError, InvalidKeyIdError):  # a key of late, which is not among those that are known
                claims = jwt.decode(id_token, self._published(anew=True)[1], algorithms=_ALGORITHMS).claims
            self._check(claims, request.nonce)
        except (
            OAuthError,
            httpx.HTTPError,
            JoseError,
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
        ) as error:
            raise IdentityProviderError(
                f"the identity provider's answer cannot be trusted: {error}"
            ) from error
        return self._identity(claims, request.go_on)

    def _check(self, claims: dict[str, Any], nonce: str) -> None:
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._settings.oidc_issuer},
            aud={"essential": True, "value": self._settings.oidc_client_id},
            exp={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(claims)

    def _identity(self, claims: dict[str, Any], go_on: str) -> Identity:
        groups = claims.get(self._settings.oidc_groups_claim, [])
        listed = [groups] if isinstance(groups, str) else groups
        named = claims.get("preferred_username") or claims.get("email") or claims["sub"]
        return Identity(
            issuer=str(claims["iss"]),
            subject=str(claims["sub"]),
            name=str(named),
            full_name=str(claims.get("name", "")),
            groups=[each for each in listed if isinstance(each, str)] if isinstance(listed, list) else [],
            go_on=go_on,
        )

    def _client(self, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            self._settings.oidc_client_id,
            self._settings.oidc_client_secret,
            scope=self._settings.oidc_scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )

    def _published(self, *, anew: bool = False) -> tuple[dict[str, Any], KeySet]:
        """Its metadata and keys, at most an hour old."""
        with self._lock:
            if anew or self._keys is None or time.monotonic() - self._read_at_s > _CACHE_S:
                self._read()
            assert self._keys is not None  # noqa: S101 - _read has set it
            return self._metadata, self._keys

    def _read(self) -> None:
        issuer = self._settings.oidc_issuer
        try:
            with httpx.Client(timeout=_TIMEOUT_S) as client:
                url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
                metadata = client.get(url).raise_for_status().json()
                if metadata["issuer"] != issuer:
                    raise IdentityProviderError(
                        f"[server] oidc_issuer is {issuer}, but the identity provider calls itself {metadata['issuer']}"
                    )
                keys = client.get(metadata["jwks_uri"]).raise_for_status().json()
            if lacks := [each for each in _ADDRESSES if not isinstance(metadata.get(each), str)]:
                raise IdentityProviderError(
                    f"the identity provider {issuer} publishes no {' and no '.join(lacks)}"
                )
            self._metadata, self._keys = metadata, KeySet.import_key_set(keys)
            self._read_at_s = time.monotonic()
        except (httpx.HTTPError, JoseError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise IdentityProviderError(
                f"the identity provider {issuer} cannot be used now: {error}"
            ) from error
