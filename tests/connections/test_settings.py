from __future__ import annotations

import contextlib
import dataclasses
import socket
import stat
import time
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from parallelm.connections import ConfigurationError, Settings, load_settings, save_settings
from parallelm.connections.artifacts import artifacts_url, filesystem
from parallelm.connections.kafka import client_config
from parallelm.connections.settings import (
    ArtifactSettings,
    ComponentSettings,
    KafkaSettings,
    setting_names,
)
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def closed_port() -> Iterator[str]:
    """An address where nobody listens: a bound socket keeps others off it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_without_file_or_environment_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings({}, folder=tmp_path) == Settings()


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "mcenter.toml").write_text('[kafka]\nbootstrap_servers = "file:1"\ntopic_prefix = "file."\n')
    settings = load_settings({"MCENTER_KAFKA_BOOTSTRAP_SERVERS": "environment:2"}, folder=tmp_path)
    assert settings.kafka.bootstrap_servers == "environment:2"
    assert settings.kafka.topic_prefix == "file."
    assert settings.clickhouse.port == 9000


def test_the_file_of_the_local_stack_is_found_without_being_named(tmp_path: Path) -> None:
    save_settings(
        Settings(kafka=KafkaSettings(bootstrap_servers="x:1")), tmp_path / ".mcenter" / "mcenter.toml"
    )
    assert load_settings({}, folder=tmp_path).kafka.bootstrap_servers == "x:1"


def test_reading_is_the_default_and_the_administrators_file_lies_over_the_other(tmp_path: Path) -> None:
    (tmp_path / "prod.toml").write_text('[clickhouse]\nhost = "h"\nuser = "ann"\npassword = "reads"\n')
    named = {"MCENTER_CONFIG": str(tmp_path / "prod.toml")}
    alone = load_settings(named, role="admin").clickhouse
    assert (alone.user, alone.read_only) == ("ann", False)

    (tmp_path / "prod.admin.toml").write_text('[clickhouse]\nuser = "root"\npassword = "writes"\n')
    reader, admin = load_settings(named).clickhouse, load_settings(named, role="admin").clickhouse
    assert (reader.host, reader.user, reader.password, reader.read_only) == ("h", "ann", "reads", True)
    assert (admin.host, admin.user, admin.password, admin.read_only) == ("h", "root", "writes", False)
    over = named | {"MCENTER_CLICKHOUSE_USER": "environment"}
    assert load_settings(over, role="admin").clickhouse.user == "environment"
    assert load_settings({"MCENTER_CONFIG": str(tmp_path / "prod.admin.toml")}).clickhouse.read_only


def test_the_role_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "mcenter.toml").write_text("[clickhouse]\nread_only = false\n")
    with pytest.raises(ConfigurationError, match="no setting 'read_only'"):
        load_settings({}, folder=tmp_path)
    with pytest.raises(ConfigurationError, match="MCENTER_CLICKHOUSE_READ_ONLY is not a setting"):
        load_settings({"MCENTER_CLICKHOUSE_READ_ONLY": "false"}, file=tmp_path / "other.toml")
    save_settings(load_settings({}, folder=tmp_path / "other"), tmp_path / "saved.toml")
    assert "read_only" not in (tmp_path / "saved.toml").read_text()


def test_a_saved_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "mcenter.toml"
    save_settings(Settings(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[kafka\n", "cannot be read"),
        ("[kafak]\n", "unknown section [kafak]; did you mean kafka?"),
        (
            '[kafka]\nbootstrap_server = "x"\n',
            "no setting 'bootstrap_server'; did you mean bootstrap_servers?",
        ),
        ("[kafka]\nzzz = 1\n", "no setting 'zzz'; there are: bootstrap_servers"),
        ('[clickhouse]\nport = "9000"\n', "must be of type int"),
        ("kafka = 3\n", "must be a section"),
        ("[component]\nspool_max_mbytes = 0\n", "a finite number, at least 1"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "mcenter.toml").write_text(content)
    with pytest.raises(ConfigurationError) as raised:
        load_settings({}, folder=tmp_path)
    assert message in str(raised.value)
    assert "mcenter.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MCENTER_CLICKHOUSE_PORT", "nine", "must be a number"),
        ("MCENTER_CLICKHOUSE_SECURE", "maybe", "must be true or false"),
        ("MCENTER_KAFKA_SECURITY_PROTOCOL", "TLS", "must be one of PLAINTEXT, SSL"),
        ("MCENTER_COMPONENT_FLUSH_INTERVAL_MS", "0", "a finite number, at least 1"),
        ("MCENTER_COMPONENT_LINGER_MS", "-1", "a finite number, at least 0"),
        ("MCENTER_COMPONENT_CLOSE_TIMEOUT_S", "inf", "a finite number, at least 0"),
        ("MCENTER_COMPONENT_QUERY_TIMEOUT_S", "nan", "a finite number, at least 0"),
        ("MCENTER_CONFIG", "/does/not/exist", "which is not a file"),
    ],
)
def test_a_bad_variable_is_refused_by_name(tmp_path: Path, variable: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings({variable: value}, folder=tmp_path)
    assert variable in str(raised.value)
    assert message in str(raised.value)


def test_passwords_are_not_shown() -> None:
    assert "hunter2" not in repr(KafkaSettings(sasl_password="hunter2"))  # noqa: S106 - the test's own


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(1, 2**31),
    st.floats(0.1, 1e6),
)
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, prefix: str, password: str, size: int, limit_s: float
) -> None:
    path = tmp_path_factory.mktemp("saved") / "mcenter.toml"
    settings = Settings(
        kafka=KafkaSettings(topic_prefix=prefix, sasl_password=password),
        component=ComponentSettings(queue_max_samples=size, close_timeout_s=limit_s),
    )
    save_settings(settings, path)
    assert load_settings({}, file=path) == settings


def test_every_setting_can_come_from_the_environment(tmp_path: Path) -> None:
    parse = {int: "7", float: "7.5", bool: "true", str: "seven"}
    expected = {"7": 7, "7.5": 7.5, "0.5": 0.5, "true": True, "seven": "seven"}
    for section in dataclasses.fields(Settings):
        defaults = getattr(Settings(), section.name)
        for name in setting_names(defaults):
            if name in {"security_protocol", "level", "format"}:
                continue  # one of a few, tested with them
            text = "0.5" if name == "predictions_share" else parse[type(getattr(defaults, name))]
            variable = f"MCENTER_{section.name}_{name}".upper()
            loaded = load_settings({variable: text}, folder=tmp_path)
            assert getattr(getattr(loaded, section.name), name) == expected[text]


def test_tls_and_sasl_settings_reach_the_kafka_client() -> None:
    config = client_config(
        KafkaSettings(
            security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u", ssl_ca_location="ca"
        ),
        group_id="g",
    )
    assert config["security.protocol"] == "SASL_SSL"
    assert config["sasl.mechanism"] == "PLAIN"
    assert config["sasl.username"] == "u"
    assert config["ssl.ca.location"] == "ca"
    assert config["group.id"] == "g"
    assert "ssl.key.location" not in config


def test_an_artifact_store_that_cannot_be_opened_says_why() -> None:
    with pytest.raises(ConfigurationError, match="nonsense"):
        filesystem(ArtifactSettings(url="nonsense://bucket"))
    with pytest.raises(ConfigurationError, match="JSON"):
        filesystem(ArtifactSettings(url="memory://x", options_json="{"))


def test_without_a_configured_store_artifacts_lie_beside_the_local_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert artifacts_url(ArtifactSettings()) == (tmp_path / ".mcenter" / "artifacts").as_uri()


def test_a_client_whose_broker_is_away_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    config = client_config(KafkaSettings(), reconnect_backoff_ms=20, reconnect_backoff_max_ms=20)
    with closed_port() as address, caplog.at_level("DEBUG", logger="parallelm.kafka"):
        producer = Producer(config | {"bootstrap.servers": address})
        wait_for(lambda: producer.poll(0.05) or caplog.records, "the first refused attempt is logged")
        attempts = time.monotonic() + 1.5
        while time.monotonic() < attempts:
            producer.poll(0.05)
    refused = [record for record in caplog.records if "refused" in record.getMessage()]
    assert len(refused) == 1


def test_a_secret_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    config = tmp_path / "mcenter.toml"
    config.write_text('[clickhouse]\npassword_file = "password"\n')
    assert load_settings({}, file=config).clickhouse.password == "from a file"  # noqa: S105
    named = {"MCENTER_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password")}
    settings = load_settings(named, file=config)
    assert settings.kafka.sasl_password == "from a file"  # noqa: S105
    assert "from a file" not in repr(settings)
    own = {"MCENTER_CLICKHOUSE_PASSWORD": "of the environment"}
    assert load_settings(own, file=config).clickhouse.password == "of the environment"  # noqa: S105


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('password_file = "nowhere"', "cannot be read"),
        ('password_file = "empty"', "is empty"),
        ("password_file = 3", "must be the path of a file"),
        ('password_file = "full"\npassword = "x"', "both set"),
        ('host_file = "full"', "no setting 'host_file'"),
    ],
)
def test_what_is_wrong_with_the_file_of_a_secret_is_said(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "full").write_text("do not show this")
    (tmp_path / "mcenter.toml").write_text(f"[clickhouse]\n{text}\n")
    with pytest.raises(ConfigurationError, match=says) as refused:
        load_settings({}, file=tmp_path / "mcenter.toml")
    assert "do not show" not in str(refused.value)


def test_the_file_of_a_secret_and_the_secret_itself_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    both = {
        "MCENTER_CLICKHOUSE_PASSWORD": "y",
        "MCENTER_CLICKHOUSE_PASSWORD_FILE": str(tmp_path / "password"),
    }
    with pytest.raises(ConfigurationError, match="both set"):
        load_settings(both, folder=tmp_path)


def test_a_log_level_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert load_settings({"MCENTER_LOG_LEVEL": "DEBUG"}, folder=tmp_path).log.level == "DEBUG"
    with pytest.raises(ConfigurationError, match="must be one of DEBUG, INFO, WARNING, ERROR"):
        load_settings({"MCENTER_LOG_LEVEL": "LOUD"}, folder=tmp_path)
