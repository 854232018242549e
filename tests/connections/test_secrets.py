"""No secret is shown: in texts of all kinds, in URLs, in messages about settings and stores."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.connections import ConfigurationError, Settings, load_settings
from parallelm.connections.artifacts import artifacts_url, filesystem, public_artifacts_url, store_error
from parallelm.connections.secrets import (
    credentials_of,
    mask_text,
    mask_value,
    redacted,
    without_credentials,
)
from parallelm.connections.settings import ArtifactSettings, RegistrySettings

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "qwe#7"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password": "123\\"qwe"}', '{"password": "*****"}'),
        ('{"password": "12\\\\", "user": "me"}', '{"password": "*****", "user": "me"}'),
        ('{"PassWord" : 12, "n": 3}', '{"PassWord" : "*****", "n": 3}'),
        ('{"passwords": ["a", {"b": "c]"}], "n": 3}', '{"passwords": "*****", "n": 3}'),
        (
            '{"a": "{\\"password\\": \\"1\\\\\\"2\\", \\"n\\": 1}"}',
            '{"a": "{\\"password\\": \\"*****\\", \\"n\\": 1}"}',
        ),
        ("{'db_password': 'it\\'s', 'n': 1}", "{'db_password': '*****', 'n': 1}"),
        ("Login(user='me', password=SecretStr('a)b'), n=1)", "Login(user='me', password=*****, n=1)"),
        ("password='it''s' n=1", "password='*****' n=1"),
        ("password='never closed", "password='*****'"),
        ("password=a,b;user=me", "password=*****;user=me"),
        ("password=abc,user=me", "password=*****,user=me"),
        ("(password=abc)", "(password=*****)"),
        ("db.pwd = abc\nuser = me", "db.pwd = *****\nuser = me"),
        ("password: correct horse\nuser: me", "password: *****\nuser: me"),
        ("a:\n  password: |\n    b\n    c\n  user: me", "a:\n  password: *****\n  user: me"),
        ("login --password hunter2 --user me", "login --password ***** --user me"),
        ('x required username="me" password="b c";', 'x required username="me" password="*****";'),
        ("Authorization: Basic dXNlcjpwYXNz\nHost: h", "Authorization: *****\nHost: h"),
        ("curl -H 'Authorization: Bearer abc.def' http://h", "curl -H 'Authorization: *****' http://h"),
        ("[('Authorization', 'Bearer abc'), ('a', 'b')]", "[('Authorization', '*****'), ('a', 'b')]"),
        ("got Bearer eyJhbGciOi.J9 back", "got Bearer ***** back"),
        ("X-Api-Key: abc", "X-Api-Key: *****"),
        ("<password>a b</password><user>me</user>", "<password>*****</password><user>me</user>"),
        ("<password>a<b>c</b>d</password><user>me</user>", "<password>*****</password><user>me</user>"),
        ("<password><![CDATA[a</b>c]]></password>", "<password>*****</password>"),
        ("<password></password><password/>", "<password></password><password/>"),
        ("pwd = a b c\nuser = me", "pwd = *****\nuser = me"),
        ("http://me:p@ss@h:80/x?sig=abc&n=1", "http://me:*****@h:80/x?sig=*****&n=1"),
        ("sftp://me:a/b@h/x", "sftp://me:*****@h/x"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END", "-----BEGIN RSA PRIVATE KEY-----*****-----END"),
        ("aws_secret_access_key = abc", "aws_secret_access_key = *****"),
    ],
)
def test_secrets_in_a_text_become_stars(text: str, shown: str) -> None:
    assert mask_text(text) == shown
    assert mask_text(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user=me",
        "the password is needed: see the docs"[:22],
        "http://127.0.0.1:8080/path@x?n=1",
        "passed: 3, compass: 4, tokenizer: bert, author: me",
        "s3://bucket/models",
        "ssh://git@host/x",
    ],
)
def test_what_is_not_a_secret_stays(text: str) -> None:
    assert mask_text(text) == text


@given(st.text(min_size=1), st.dictionaries(st.text(), st.text(), max_size=2), st.integers(0, 3))
def test_a_secret_of_any_text_leaves_nothing_in_json_in_json(
    value: str, more: dict[str, str], depth: int
) -> None:
    def nested(password: str) -> str:
        text = json.dumps({"user": "me", "my Password": password, "host": "h"})
        for _ in range(depth):
            text = json.dumps({"config": text, "n": 1})
        return text

    assert mask_text(nested(value)) == nested("*****")
    assert mask_text(repr({"password": value, "host": "h"})).endswith("'host': 'h'}")
    masked = json.loads(mask_value({"password": value, "more": [{"token": more}]}))
    assert masked == {"password": "*****", "more": [{"token": "*****"}]}


@given(st.text(alphabet="\"'\\pasword:={}[](),;<>/@& \n-ub|"))
def test_any_text_is_masked_without_failing(text: str) -> None:
    mask_text(text)
    mask_text(f"password={text}")


@pytest.mark.parametrize(
    "part", ['"', "a", "\\", "password=", "://a:", "password=(", "a://", "<a ", 'password="\\"', "--a ", "a,"]
)
@pytest.mark.timeout(60)  # seconds in linear time, hours in quadratic
def test_long_texts_are_masked_in_linear_time(part: str) -> None:
    mask_text(part * 200_000)


def test_values_of_any_kind_become_text() -> None:
    held: dict[str, Any] = {"n": 1, 2: None, "b": b"pwd=x", "pair": ("password", HIDDEN), "s": {1}}
    held["self"] = held
    assert json.loads(mask_value(held)) == {
        "n": 1, "2": None, "b": "pwd=*****", "pair": ["password", "*****"], "s": [1], "self": "...",
    }  # fmt: skip
    assert mask_value(None) == "None"


def test_urls_lose_their_credentials() -> None:
    assert without_credentials("sftp://me:a%40b@h:22/x@y?z") == "sftp://h:22/x@y?z"
    assert without_credentials("http://h/x@y") == "http://h/x@y"
    assert without_credentials("plain@text") == "plain@text"
    assert credentials_of("sftp://me:a%40b@h:22/x") == ("me", "a@b")
    assert redacted(ValueError(f"cannot log in with {HIDDEN}."), HIDDEN, "") == "cannot log in with *****."


def test_settings_show_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "mcenter.toml"
    file.write_text(
        f'[schema_registry]\nurl = "http://me:{HIDDEN[:3]}@h"\npassword = "{HIDDEN}"\n'
        f'[artifacts]\nurl = "sftp://me:{HIDDEN[:3]}@h/x"\noptions_json = "{HIDDEN}"\n'
    )
    assert "qwe" not in repr(load_settings({}, file=file))
    assert "http://me:*****@h" in repr(load_settings({}, file=file))
    assert repr(Settings()).startswith("Settings(kafka=KafkaSettings(bootstrap_servers='127.0.0.1:9092'")
    file.write_text("[clickhouse]\npassword = 123456\n")
    with pytest.raises(ConfigurationError, match="of type int; it must be of type str") as wrong:
        load_settings({}, file=file)
    assert "123456" not in str(wrong.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MCENTER_KAFKA_BOOTSTRAP_SERVERS", f"me:{HIDDEN}@h:9092"),
        ("MCENTER_KAFKA_BOOTSTRAP_SERVERS", f"kafka://h:9092,me:{HIDDEN}@h:9092"),
        ("MCENTER_CLICKHOUSE_HOST", f"clickhouse://me:{HIDDEN}@h"),
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match="settings of their own") as refused:
        load_settings({name: value}, folder=tmp_path)
    assert HIDDEN not in str(refused.value)


def test_the_registry_takes_user_and_password_of_its_url() -> None:
    given_in_url = RegistrySettings(url=f"http://me:{HIDDEN}@h:1/x".replace("#", "%23"))
    assert given_in_url.address() == RegistrySettings(url="http://h:1/x", user="me", password=HIDDEN)


def test_the_password_of_the_artifact_store_is_neither_stored_nor_shown(tmp_path: Path) -> None:
    artifacts = ArtifactSettings(
        url="memory://me:q%23we@h/models",
        options_json=json.dumps({"deep": {"secret": HIDDEN}, "key": "AKIA1"}),
    )
    assert public_artifacts_url(artifacts) == "memory://h/models"
    assert artifacts_url(artifacts) == artifacts.url
    shown = store_error(artifacts, OSError(f"{HIDDEN} AKIA1 q#we q%23we {artifacts.url}"))
    assert shown == "***** ***** ***** ***** memory://me:*****@h/models"
    nowhere = ArtifactSettings(url="nosuch://me:q%23we@h/x")
    with pytest.raises(ConfigurationError) as refused:
        filesystem(nowhere)
    assert "q%23we" not in "".join(traceback.format_exception(refused.value))
    for options in ('["qwe"]', '{"secret": qwe}'):
        wrong = ArtifactSettings(url=tmp_path.as_uri(), options_json=options)
        with pytest.raises(ConfigurationError, match="not a JSON object") as refused:
            filesystem(wrong)
        assert "qwe" not in "".join(traceback.format_exception(refused.value))


def test_a_stored_url_is_opened_with_the_password_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    opened: list[str] = []
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url, **_: opened.append(url))
    filesystem(ArtifactSettings(url="sftp://me:pw@h/models"), "sftp://h/models/app/m")
    filesystem(ArtifactSettings(url="sftp://me:pw@h/models"), "sftp://another/models/app/m")
    assert opened == ["sftp://me:pw@h/models/app/m", "sftp://another/models/app/m"]
