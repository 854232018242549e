"""Sends a block of columns in ClickHouse's own form over a connection of clickhouse-driver.

The driver encodes Python values one by one; here the columns are encoded already. Handshake, query, settings,
compression and errors are the driver's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickhouse_driver import defines
from clickhouse_driver.block import BlockInfo, ColumnOrientedBlock
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_driver import Client

    from parallelm.sinks.native import NativeBlock

_FRAME_BYTES = 512 * 1024
"""What is compressed and checksummed at once: so little that both sides have it in their caches meanwhile."""


def insert_native(client: Client, statement: str, block: NativeBlock, settings: Mapping[str, Any]) -> None:
    """Execute an ``INSERT … VALUES`` with one block; raises what ``client.execute`` raises."""
    with client.disconnect_on_error(statement, settings):
        connection = client.connection
        connection.send_query(statement)
        connection.send_external_tables(None)
        client.receive_sample_block()
        _send(connection, block)
        connection.send_data(ColumnOrientedBlock())
        client.receive_end_of_insert_query()


def _send(connection: Any, block: NativeBlock) -> None:
    write_varint(ClientPacketTypes.DATA, connection.fout)
    write_binary_str("", connection.fout)  # name of a table: none
    revision = connection.server_info.used_revision
    out = connection.block_out
    BlockInfo().write(out.fout)
    unsent = 0
    for part in block.parts(
        states_serialization=revision >= defines.DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION
    ):
        for start in range(0, len(part), _FRAME_BYTES):
            piece = part[start : start + _FRAME_BYTES]
            out.fout.write(piece)
            unsent += len(piece)
            if unsent >= _FRAME_BYTES:
                out.finalize()  # ends the frame; the block goes on in the next one
                unsent = 0
    if unsent:
        out.finalize()
