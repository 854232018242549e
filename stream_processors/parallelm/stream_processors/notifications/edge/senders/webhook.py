"""``webhook``: JSON with the members of the group, posted under an ``Idempotency-Key``, signed where there is a secret."""

from __future__ import annotations

import base64
import hmac
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url

from parallelm.definitions.notifications.targets.webhook import signing_keys
from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.edge.senders import TIMEOUT_S

if TYPE_CHECKING:
    from parallelm.definitions.notifications.targets.webhook import WebhookForm
    from parallelm.stream_processors.notifications.edge.senders import Message

TYPE_NAME = "webhook"
_LATER = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_LEAST_SECRET = 6
"""Shorter parts of a path are names."""


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Posts with a connection of its own each time: a receiver that restarts is met again."""

    form: WebhookForm

    def send(self, message: Message) -> tuple[Outcome, str]:
        """Post it. 2xx is sent, 4xx is refused, everything else is tried again."""
        headers = dict(self.form.headers) | {"Idempotency-Key": message.notification_id}
        content = message.payload | {"title": message.title, "body": message.body}
        try:
            # Not followed: a redirected POST becomes a GET, which says 200 and has told nobody.
            answer = requests.post(
                self.form.url,
                json=content,
                headers=headers,
                auth=_Signature(self.form, message.notification_id) if self.form.secret else None,
                timeout=TIMEOUT_S,
                allow_redirects=False,
                stream=True,
            )
        except requests.Timeout:
            return Outcome.UNAVAILABLE, f"no answer within {TIMEOUT_S:g} s"
        except requests.exceptions.ProxyError as error:
            return Outcome.UNAVAILABLE, f"the proxy that the environment names: {_reason(error)}"
        except requests.RequestException as error:
            return Outcome.UNAVAILABLE, _reason(error)
        with answer:
            status = answer.status_code
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Outcome.SENT, ""
        is_refused = (
            HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LATER
        )
        return (
            Outcome.REFUSED if is_refused else Outcome.UNAVAILABLE,
            f"the server answered with status {status}",
        )


@dataclass(frozen=True, slots=True)
class _Signature(AuthBase):
    """Signs the bytes of a request as Standard Webhooks says: its id, its time and its body, by HMAC-SHA256."""

    form: WebhookForm
    message_id: str

    def __call__(self, prepared: Any) -> Any:
        user, password = get_auth_from_url(self.form.url)
        if user or password:
            prepared = HTTPBasicAuth(user, password)(prepared)
        prepared.headers.update(
            signature_headers(self.form.secret, self.message_id, int(time.time()), prepared.body)
        )
        return prepared


def signature_headers(secret: str, message_id: str, sent_s: int, body: bytes) -> dict[str, str]:
    """``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` of what is sent."""
    signed = f"{message_id}.{sent_s}.".encode() + body
    signatures = [hmac.digest(key, signed, "sha256") for key in signing_keys(secret)]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in signatures),
    }


def _reason(error: BaseException) -> str:
    """The innermost cause. The outer ones quote the URL."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__


class WebhookKind:
    """Makes senders of webhooks."""

    def make(self, form: WebhookForm) -> WebhookSender:
        """The sender of a target."""
        return WebhookSender(form)

    def mistake(self, form: WebhookForm) -> str:
        """Why the URL cannot be posted to."""
        try:
            requests.Request("POST", form.url, headers=dict(form.headers)).prepare()
        except (requests.RequestException, ValueError) as error:
            return type(error).__name__
        return ""

    def secrets(self, form: WebhookForm) -> list[str]:
        """The URL and what may be secret in it, and the headers."""
        parts = urlsplit(form.url)
        pieces = [
            piece
            for piece in (*parts.path.split("/"), *parts.query.split("&"))
            if len(piece) >= _LEAST_SECRET
        ]
        values = [piece.partition("=")[2] for piece in parts.query.split("&")]
        found = [
            form.url,
            parts.path.strip("/"),
            parts.password or "",
            *pieces,
            *values,
            *form.headers.values(),
            *form.secret.split(),
        ]
        return [text for each in found for text in (each, unquote(each)) if text]


KIND = WebhookKind()
