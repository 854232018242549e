"""A ClickHouse server for one machine: the real engine (chdb) behind ClickHouse's native protocol and HTTP interface.

A development convenience: the engine is the one of production, the server around it is not. It serves the local
stack and the tests; ``python -m parallelm.mcenter.engine --help`` says how to start it alone.
"""
