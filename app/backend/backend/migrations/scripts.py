"""Migration files: names, order and checksums as Flyway has them. Pure, but for reading the files."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

SQL_FOLDER = Path(__file__).parent / "sql"
_NAME = re.compile(r"V(\d+(?:[._]\d+)*)__(.+)\.sql")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"

Version = tuple[int, ...]


class MigrationError(Exception):
    """Migrating cannot go on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Script:
    """One migration file."""

    version: str  # "1", "2.1"
    description: str  # "Create users table"
    name: str  # "V1__Create_users_table.sql"
    checksum: int  # as in the history table: signed, 32 bits
    sql: str

    @property
    def order(self) -> Version:
        """What versions are sorted by."""
        return version_order(self.version)


def version_order(version: str) -> Version:
    """(2, 10) of "2.10" and of "2.10.0": numbers, not text, and trailing zeros mean nothing."""
    numbers = [int(part) for part in version.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def checksum(content: bytes) -> int:
    """Flyway's checksum: CRC-32 over the lines without their ends and without a byte order mark, as a signed int."""
    crc = 0
    for line in _LINE_END.split(content.removeprefix(_BOM)):
        crc = zlib.crc32(line, crc)
    return crc - 2**32 if crc >= 2**31 else crc


def script_from_file(name: str, content: bytes) -> Script:
    """The migration in a file. Raises MigrationError for a name that says no version."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise MigrationError(f"{name}: the name of a migration looks like V4__Add_phone_number.sql.")
    version = match[1].replace("_", ".")
    description = match[2].replace("_", " ")
    return Script(version, description, name, checksum(content), content.removeprefix(_BOM).decode())


def scripts_in(folder: Path) -> list[Script]:
    """All migrations of a folder, in order. Raises MigrationError for two of one version."""
    scripts = sorted(
        (script_from_file(path.name, path.read_bytes()) for path in folder.glob("*.sql")), key=lambda s: s.order
    )
    for before, after in pairwise(scripts):
        if before.order == after.order:
            raise MigrationError(f"{before.name} and {after.name} have the same version: renumber the newer one.")
    return scripts
