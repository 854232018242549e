"""Removes secrets from texts before they are shown."""

from __future__ import annotations

from typing import Any

from parallelm.connections.secrets import mask_value
from parallelm.mlops.stats._callers_values import refusing_call
from parallelm.mlops.stats._values import check_extent


def mask_passwords(value: str | dict[Any, Any]) -> str:
    """The text with ``*****`` in place of secrets; a dict as JSON text.

    Secrets are the values of names that contain "password", in any case, or passwd, pwd, passphrase, secret, token,
    api_key, access_key, credential, signature and the like, including numbers, lists and dicts. They are found in JSON (and
    JSON texts within it), Python's reprs, INI, YAML, XML, command lines, headers and queries. Passwords in URLs and
    private keys are masked as well. In doubt a value is masked.
    """
    check_extent(value, "what is masked")
    return refusing_call(mask_value)(value)
