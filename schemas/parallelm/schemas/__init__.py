"""What travels on the topics: Avro schemas, typed records, the topic catalogue, the codec and registries."""
