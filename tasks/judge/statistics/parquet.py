"""Encode tables as Parquet, and read those of a known schema."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import BadInput


def encode(table: pa.Table) -> bytes:
    """Encode a table; the bytes depend only on the table and the pyarrow version."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def decode(data: bytes, uri: str, schema: pa.Schema, content: str) -> pa.Table:
    """Read a table that `encode` wrote.

    Args:
        data: the file's bytes.
        uri: the file's address, for error messages.
        schema: what the table must have.
        content: what such a file holds, for error messages.

    Raises:
        BadInput: the bytes are not a Parquet file of this schema.
    """
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowInvalid, OSError):
        raise BadInput(f"{uri} is not a Parquet file; run `evaluate` again") from None
    if not table.schema.equals(schema):
        raise BadInput(f"{uri} has other columns than a file of {content}; run `evaluate` again")
    return table
