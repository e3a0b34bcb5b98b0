"""Rows of a quarantine as JSON Lines: written to be corrected, and read back.

One object a line: the origin, the `reasons`, and the event as `payload`, or as `payload_base64` if
it is not UTF-8.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pyspark.sql import DataFrame

from pipelines.errors import CorrectionError
from pipelines.table import ORIGIN
from pipelines.yaml_file import plain

_LONGEST = 200  # characters of a message: it may cite a line of megabytes


@dataclass(frozen=True)
class Correction:
    """What is to be read instead of the bytes that a row of a quarantine keeps."""

    line: int
    origin: tuple[str, int, int]
    payload: bytes | None


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("it is not base64") from None


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: str
    source_partition: int = Field(ge=0, lt=2**31)
    source_offset: int = Field(ge=0, lt=2**63)
    reasons: list[str] = []
    payload: str | None = None
    payload_base64: Annotated[bytes, BeforeValidator(_decoded)] = b""


def export(rows: DataFrame, file: Path) -> int:
    """Write rows of a quarantine, in the order of their origin; a file that exists is replaced.

    Returns:
        How many lines there are.

    Raises:
        CorrectionError: the file cannot be written.
    """
    ordered = rows.select(*ORIGIN, "reasons", "payload").orderBy(*ORIGIN)
    draft = file.with_name(f"{file.name}.tmp")
    count = 0
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as lines:
            for row in ordered.toLocalIterator():
                line = {name: row[name] for name in (*ORIGIN, "reasons")}
                shown = line | _shown(row["payload"])
                lines.write(json.dumps(shown, ensure_ascii=False) + "\n")
                count += 1
        draft.replace(file)
    except OSError as error:
        raise CorrectionError(f"{file}: {error.strerror}; name another file") from None
    return count


def _shown(payload: bytearray | None) -> dict[str, str | None]:
    if payload is None:
        return {"payload": None}
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def read_corrections(file: Path) -> list[Correction]:
    """The corrections in a file, each with the number of its line; empty lines are passed over.

    Raises:
        CorrectionError: the file cannot be read, a line is malformed, or two name one row.
    """
    try:
        with file.open("rb") as lines:
            found = list(_parsed(file, lines))
    except OSError as error:
        raise CorrectionError(f"{file}: {error.strerror}; name a file of corrections") from None
    first: dict[tuple[str, int, int], int] = {}
    for correction in found:
        before = first.setdefault(correction.origin, correction.line)
        if before != correction.line:
            raise CorrectionError(
                f"{file}:{correction.line}: corrects the row of line {before} again; leave one"
            )
    return found


def _parsed(file: Path, lines: Any) -> Iterator[Correction]:
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            name = "".join(f"'{part}': " for part in fault["loc"])
            what = f"{name}{plain(fault)}"[:_LONGEST]
            raise CorrectionError(f"{file}:{number}: {what}; correct the line") from None
        given = line.model_fields_set & {"payload", "payload_base64"}
        if len(given) != 1:
            raise CorrectionError(
                f"{file}:{number}: it needs either 'payload' or 'payload_base64'; correct the line"
            )
        payload = None if line.payload is None else line.payload.encode()
        if "payload_base64" in given:
            payload = line.payload_base64
        origin = (line.source, line.source_partition, line.source_offset)
        yield Correction(number, origin, payload)
