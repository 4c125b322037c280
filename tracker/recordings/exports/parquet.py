"""The rows of `tracker.recordings.exports.table` as Parquet, typed; needs pyarrow."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

from tracker.errors import needs_extra
from tracker.events import SCHEMA
from tracker.recordings.exports.conversation import Conversation
from tracker.recordings.exports.table import FIELDS, columns, rows

_TIMES = ("start_time", "end_time")


def parquet(conversation: Conversation) -> bytes:
    """The whole file; wall times are UTC, probabilities 64 bit floats.

    Raises:
        ExtraMissing: pyarrow is not installed.
    """
    with needs_extra("export", "--format parquet"):
        import pyarrow as pa
        from pyarrow.parquet import write_table
    kinds = {
        **dict.fromkeys(("turn", "channel"), pa.int64()),
        **dict.fromkeys(("start_s", "end_s", "confidence"), pa.float64()),
        **dict.fromkeys(_TIMES, pa.timestamp("ms", "UTC")),
        "abstained": pa.bool_(),
    }
    fields = [
        pa.field(name, kinds.get(name, pa.string()) if name in FIELDS else pa.float64())
        for name in columns(conversation)
    ]
    schema = pa.schema(fields, metadata={"schema": SCHEMA})
    out = io.BytesIO()
    write_table(pa.Table.from_pylist([_typed(row) for row in rows(conversation)], schema), out)
    return out.getvalue()


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: datetime.fromisoformat(row[name]) for name in _TIMES}
