"""The ``mcenter`` command and the local stack."""
