"""Signatures of models: what is signed cannot be changed, moved over, or signed by another key unnoticed."""

from __future__ import annotations

import base64
from dataclasses import fields, replace
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.errors import SignatureError
from parallelm.schemas.model_signatures import (
    _SMALL_ORDER,
    SignedModel,
    key_id_of,
    new_key,
    parse_key_ids,
    require_signer,
    sign,
    signed_model,
    signed_row,
    signer,
)
from tests.sinks import samples

MODEL = SignedModel(
    mlapp_id="flights", model_id="m1", name="trees", format="Onnx", file_name="m.onnx", is_directory=False,
    size_bytes=7, sha256="ab" * 32,
)  # fmt: skip


@cache
def key(number: int) -> str:
    """The same one for a number."""
    made = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_signature_names_its_key_and_is_checked_with_nothing_else():
    made = new_key().decode()
    assert signer(MODEL, sign(made, MODEL)) == key_id_of(made)
    assert key_id_of(key(1)) == key_id_of(key(1)) != key_id_of(key(2))


@pytest.mark.parametrize("name", [each.name for each in fields(SignedModel)])
@given(text=st.text(max_size=20), number=st.integers(0, 2**60))
def test_nothing_that_is_signed_can_be_changed(name: str, text: str, number: int):
    before = getattr(MODEL, name)
    after = (not before) if name == "is_directory" else number if name == "size_bytes" else text
    changed = replace(MODEL, **{name: after})
    signature = sign(key(1), MODEL)
    if after == before:
        assert signer(changed, signature)
    else:
        with pytest.raises(SignatureError, match="does not fit"):
            signer(changed, signature)


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_two_models_never_have_one_message(one: str, two: str, three: str, four: str):
    first, second = replace(MODEL, model_id=one, name=two), replace(MODEL, model_id=three, name=four)
    assert (first.message == second.message) == ((one, two) == (three, four))


@given(place=st.integers(0, 140), flip=st.integers(1, 255))
def test_no_byte_of_a_signature_can_be_changed(place: int, flip: int):
    signature = bytearray(sign(key(1), MODEL).encode())
    place %= len(signature)
    signature[place] ^= flip
    text = signature.decode("latin-1")
    try:
        found = signer(MODEL, text)
    except SignatureError:
        return
    assert found == key_id_of(key(1)), "base64 has bits that say nothing"


def test_the_signature_of_another_model_or_key_does_not_fit():
    moved = sign(key(1), replace(MODEL, model_id="m2"))
    with pytest.raises(SignatureError, match="does not fit"):
        signer(MODEL, moved)
    kind, _, signed = sign(key(1), MODEL).split(":")
    other = sign(key(2), MODEL).split(":")[1]
    with pytest.raises(SignatureError, match="does not fit"):
        signer(MODEL, f"{kind}:{other}:{signed}")


def test_what_the_key_has_signed_for_another_purpose_is_no_signature_of_a_model():
    private = load_pem_private_key(key(1).encode(), None)
    assert isinstance(private, Ed25519PrivateKey)
    public = sign(key(1), MODEL).split(":")[1]
    signed = base64.b64encode(private.sign(MODEL.message.partition(b"\n")[2])).decode()
    with pytest.raises(SignatureError, match="does not fit"):
        signer(MODEL, f"ed25519:{public}:{signed}")


@pytest.mark.parametrize(
    "text",
    ["x", "ed25519", "ed25519:a:b", "ed25519::", "ed25519:AAAA:AAAA", "rsa:" + "A" * 44 + ":AAAA", "ed25519:é:ü",
     "ed25519:" + "A" * 43 + "=:" + "A" * 86 + "==", "::::", "ed25519:" + "/" * 43 + "=:AAAA"],
)  # fmt: skip
def test_any_other_text_is_none(text: str):
    with pytest.raises(SignatureError):
        signer(MODEL, text)


@pytest.mark.parametrize("sign_bit", [0, 0x80])
@pytest.mark.parametrize("public", sorted(_SMALL_ORDER), ids=bytes.hex)
def test_a_key_that_fits_any_message_is_none(public: bytes, sign_bit: int):
    key_bytes = public[:-1] + bytes([public[-1] | sign_bit])
    signatures = (bytes(64), b"\x01" + bytes(63), key_bytes + bytes(32))
    for signature in signatures:
        text = ":".join(["ed25519", *(base64.b64encode(part).decode() for part in (key_bytes, signature))])
        with pytest.raises(SignatureError, match="form that is not known"):
            signer(MODEL, text)


def test_a_model_without_a_signature_is_said_to_have_none():
    with pytest.raises(SignatureError, match="it is not signed"):
        signer(MODEL, "")


def test_only_trusted_keys_count_and_several_may_be():
    one, two = key_id_of(key(1)), key_id_of(key(2))
    for number in (1, 2):
        assert require_signer(MODEL, sign(key(number), MODEL), [one, two]) == key_id_of(key(number))
    with pytest.raises(
        SignatureError, match=f"signed by key {two}, which is none of the trusted ones: {one}"
    ):
        require_signer(MODEL, sign(key(2), MODEL), [one])


def test_an_announcement_and_its_row_say_the_same():
    announced = samples.model()
    row = {each.name: getattr(announced, each.name, "") for each in fields(SignedModel)}
    row |= {"mlapp_id": announced.origin.mlapp_id, "is_directory": int(announced.is_directory)}
    assert signed_model(announced) == signed_row(row)


def pem(private: object, encryption: object) -> str:
    data: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)  # type: ignore[attr-defined]
    return data.decode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cannot be read"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be read"),
        (
            pem(Ed25519PrivateKey.from_private_bytes(bytes(32)), BestAvailableEncryption(b"x")),
            "without a password",
        ),
        (pem(generate_private_key(SECP256R1()), NoEncryption()), "not an Ed25519 key"),
    ],
    ids=["empty", "broken", "locked", "other"],
)
def test_a_key_that_cannot_be_used_is_told(text: str, why: str):
    with pytest.raises(SignatureError, match=why):
        sign(text, MODEL)


def test_ids_of_keys_are_read_with_commas_or_spaces():
    one, two = key_id_of(key(1)), key_id_of(key(2))
    assert parse_key_ids(f" {one},{two} ") == parse_key_ids(f"{one} {two}") == [one, two]
    assert parse_key_ids("") == []
    with pytest.raises(SignatureError, match="'abc' is no id of a key"):
        parse_key_ids(f"{one}, abc")
