"""From the queues of a process to Kafka: batches, sender thread, spool, forks."""
