"""Migration files: names, order and checksums as Flyway has them. Pure, but for reading the files.

V4__Add_phone.sql   run once, in the order of versions
U4__Add_phone.sql   takes V4 back
R__Views.sql        run after them, and again whenever it was changed
V5__Index.sql.conf  `executeInTransaction=false`: for the one statement in V5 that cannot be in a transaction
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

SQL_FOLDER = Path(__file__).parent / "sql"
VERSIONED, UNDO, REPEATABLE = "V", "U", "R"
_NAME = re.compile(r"([VU])(\d+(?:[._]\d+)*)__(.+)\.sql|(R)__(.+)\.sql")
_CONF = re.compile(r"\s*executeInTransaction\s*=\s*(true|false)\s*", re.IGNORECASE)
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"

Version = tuple[int, ...]


class MigrationError(Exception):
    """Migrating cannot go on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Script:
    """One migration file."""

    kind: str  # VERSIONED, UNDO or REPEATABLE
    version: str  # "1", "2.1"; "" of a repeatable one
    description: str  # "Create users table"
    name: str  # "V1__Create_users_table.sql"
    checksum: int  # as in the history table: signed, 32 bits
    sql: str
    transactional: bool = True

    @property
    def order(self) -> Version:
        """What versions are sorted by; () of a repeatable one."""
        return version_order(self.version) if self.version else ()


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


def script_from_file(name: str, content: bytes, conf: str = "") -> Script:
    """The migration in a file. Raises MigrationError for a name that says no version, and for a strange `conf`."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise MigrationError(
            f"{name}: the name of a migration looks like V4__Add_phone_number.sql (U4__… takes it back, R__… repeats)."
        )
    kind, version, described = match[1] or match[4], (match[2] or "").replace("_", "."), match[3] or match[5]
    text = content.removeprefix(_BOM).decode()
    return Script(
        kind, version, described.replace("_", " "), name, checksum(content), text, _transactional(f"{name}.conf", conf)
    )


def _transactional(name: str, conf: str) -> bool:
    transactional = True
    for line in conf.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _CONF.fullmatch(line)
        if match is None:
            raise MigrationError(f"{name}: {line.strip()!r} is not known; executeInTransaction=false is.")
        transactional = match[1].lower() == "true"
    return transactional


def scripts_in(folder: Path) -> list[Script]:
    """All migrations of a folder, in order. Raises MigrationError for two of one version, or of one name."""
    scripts = []
    for path in folder.glob("*.sql"):
        conf = path.with_name(f"{path.name}.conf")
        scripts.append(script_from_file(path.name, path.read_bytes(), conf.read_text() if conf.exists() else ""))
    scripts.sort(key=_place)
    for before, after in pairwise(scripts):
        if _place(before) == _place(after):
            what = "version" if before.version else "name"
            raise MigrationError(f"{before.name} and {after.name} have the same {what}: change that of the newer one.")
    return scripts


def _place(script: Script) -> tuple[str, Version, str]:
    return script.kind, script.order, "" if script.version else script.description
