-- Decisions of people.

CREATE TABLE IF NOT EXISTS actions ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    action_id String COMMENT 'Unique id.',
    who LowCardinality(String) COMMENT 'User name.',
    authenticated_by LowCardinality(String) COMMENT 'How the user is known: server_account, oidc, token, one_time_link, broker_principal, unverified_local_user; nobody for who has not signed in; imported: a capture says so, and nothing here has checked it.',
    action LowCardinality(String) COMMENT 'approve, reject, deploy, roll_back, pin, unpin, upload_model, delete_model, acknowledge, close, silence, unsilence, replay_dead_letter, drop_dead_letter, apply_definition, upload_kpis, withdraw_kpis, upload_actuals, take_capture, delete_capture, import_capture, test_notification, launch, stop, archive, change_threshold, begin_erase, erase, forget_mlapp; of the server sign_in, sign_out, refuse, refuse_sign_in, lock_out, and what is done to accounts, groups and tokens, such as create_account.',
    node_id LowCardinality(String) COMMENT 'Node; may be empty.',
    model_id String COMMENT 'Model; may be empty.',
    target String COMMENT 'What else it acts on: fingerprint, deployment id, dead letter; may be empty.',
    comment String COMMENT 'May be empty.',
    parameters Map(LowCardinality(String), String) COMMENT 'Further settings of the action.',
    imported_from LowCardinality(String) COMMENT 'Capture from which the action was imported; empty for those of this installation.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, event_time)
SETTINGS ${insert_settings}
COMMENT 'The audit log: one row a decision of a person.';
