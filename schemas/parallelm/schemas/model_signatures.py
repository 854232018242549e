"""Signatures of models: Ed25519 over the SHA-256 of the file and what identifies the model.

A signature travels with the model's announcement and names its public key, so that anybody can check that it fits. Whether
that key is to be trusted is another question, which whoever asks answers with a list of key ids: an id is the beginning of
the SHA-256 of the public key. Needs ``cryptography``, which is imported where it is used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from parallelm.schemas.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from parallelm.schemas.records import ModelAnnouncement

_KIND: Final = "ed25519"
_PURPOSE: Final = b"mcenter models signature 1\n"
"""So that a signature of anything else, by the same key, is none of a model."""
MISSING: Final = "signatures of models need the package cryptography: pip install 'mcenter-stream[signing]'"
_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""Points of small order, without their sign bit (the list is libsodium's): with one as its key a signature fits any message."""
KEY_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedModel:
    """What is signed: the digest of the file, and which model of which MLApp it is."""

    mlapp_id: str
    model_id: str
    name: str
    format: str
    file_name: str
    is_directory: bool
    size_bytes: int
    sha256: str

    @property
    def message(self) -> bytes:
        """The bytes that a key signs."""
        return _PURPOSE + json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()


def signed_model(announced: ModelAnnouncement) -> SignedModel:
    """Of an announcement."""
    return signed_row({name: getattr(announced, name, "") for name in _NAMES}, announced.origin.mlapp_id)


def signed_row(row: Mapping[str, Any], mlapp_id: str = "") -> SignedModel:
    """Of a row of the table of models, or of whatever has its fields."""
    values = {name: row[name] for name in _NAMES if name != "mlapp_id"}
    values |= {"is_directory": bool(row["is_directory"]), "size_bytes": int(row["size_bytes"])}
    return SignedModel(mlapp_id=mlapp_id or row["mlapp_id"], **values)


_NAMES: Final = tuple(each.name for each in fields(SignedModel))


def new_key() -> bytes:
    """A private key as PEM (PKCS 8), without a password."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = Ed25519PrivateKey.generate()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_id_of(signing_key: str) -> str:
    """Id of the public key that belongs to a private one; raises ``SignatureError``."""
    return _id_of(_public_bytes(_loaded(signing_key)))


def sign(signing_key: str, model: SignedModel) -> str:
    """Signature of a model by a private key (PEM); raises ``SignatureError``."""
    key = _loaded(signing_key)
    parts = (_public_bytes(key), key.sign(model.message))
    return ":".join([_KIND, *(base64.b64encode(part).decode() for part in parts)])


def signer(model: SignedModel | Mapping[str, Any], signature: str) -> str:
    """Id of the key that has signed a model; raises ``SignatureError`` when none has, or the signature does not fit.

    ``model`` may be a row of the table of models.
    """
    if not signature:
        raise SignatureError("it is not signed")
    public, signed = _parts(signature)
    said = model if isinstance(model, SignedModel) else signed_row(model)
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise SignatureError(MISSING) from error
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed, said.message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(
            f"its signature by key {_id_of(public)} does not fit: the file, or what is said of the model, is not what was signed"
        ) from error
    return _id_of(public)


def require_signer(model: SignedModel | Mapping[str, Any], signature: str, trusted: Iterable[str]) -> str:
    """As ``signer``; raises ``SignatureError`` for a key that is none of the trusted ones, too."""
    found, known = signer(model, signature), list(trusted)
    if found not in known:
        raise SignatureError(untrusted(found, known))
    return found


def untrusted(key_id: str, trusted: Iterable[str]) -> str:
    """Why a model of this key is refused."""
    return f"it is signed by key {key_id}, which is none of the trusted ones: {', '.join(trusted)}"


def parse_key_ids(text: str) -> list[str]:
    """Key ids with commas or spaces between; raises ``SignatureError``."""
    found = text.replace(",", " ").split()
    for each in found:
        if not KEY_ID.fullmatch(each):
            raise SignatureError(
                f"{each!r} is no id of a key, which has 32 hexadecimal digits; `mcenter keys show FILE` tells it"
            )
    return found


def _parts(text: str) -> tuple[bytes, bytes]:
    kind, *parts = text.split(":")
    try:
        public, signature = (base64.b64decode(part, validate=True) for part in parts)
    except (ValueError, binascii.Error):
        public = signature = b""
    if kind != _KIND or len(public) != 32 or _without_sign(public) in _SMALL_ORDER:  # noqa: PLR2004 - bytes of a key
        raise SignatureError(f"its signature has a form that is not known: {text[:20]!r} …")
    return public, signature


def _without_sign(public: bytes) -> bytes:
    return public[:-1] + bytes([public[-1] & 0x7F])


def _loaded(signing_key: str) -> Ed25519PrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise SignatureError(MISSING) from error
    try:
        key = load_pem_private_key(signing_key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise SignatureError(
            "the signing key cannot be read: it is a private key in PEM, without a password; `mcenter keys generate` makes one"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError("the signing key is not an Ed25519 key; `mcenter keys generate` makes one")
    return key


def _public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _id_of(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:32]
