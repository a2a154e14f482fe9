"""``python -m backend.migrations migrate|info|validate|undo|baseline|repair``.

migrate   runs what is pending; nothing to do is fine.
info      prints files and history side by side; ``--json`` for programs.
validate  exit status 1 where a file was changed, is gone, or was not run yet.
undo      takes the newest version back with its U file; ``--down-to N`` all versions above N.
baseline  says that a schema without a history is what the files up to ``--version`` (1) make.
repair    forgets failed runs, accepts changed files as they are, marks those that are gone as deleted.

Exit status 0: done; 1: it failed, the message says why; 2: wrong configuration or arguments.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from psycopg2.extensions import connection as Connection

from backend.config import Database
from backend.environment import LOG_LEVELS, ConfigError, database_from_env
from backend.migrations.plan import overview, pending, problems
from backend.migrations.runner import baseline, migrate, read_history, repair, undo, wait_for_database
from backend.migrations.scripts import SQL_FOLDER, MigrationError, Script, scripts_in
from backend.observability.logs import configure

log = logging.getLogger("backend.migrations")


def _version(text: str) -> str:
    if not re.fullmatch(r"\d+([._]\d+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no version; 3 or 2.1 is")
    return text.replace("_", ".")


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backend.migrations", description="Schema migrations.")
    files = argparse.ArgumentParser(add_help=False)
    files.add_argument("--folder", type=Path, default=SQL_FOLDER, help="where the SQL files are")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("migrate", parents=[files], help="run what is pending")
    info = commands.add_parser("info", parents=[files], help="files and history side by side")
    info.add_argument("--json", action="store_true", help="as JSON")
    commands.add_parser("validate", parents=[files], help="do files and history agree, and was everything run?")
    undo = commands.add_parser("undo", parents=[files], help="take the newest version back")
    undo.add_argument("--down-to", type=_version, metavar="N", help="all versions above N instead")
    base = commands.add_parser("baseline", parents=[files], help="take a schema over that has no history")
    base.add_argument("--version", type=_version, default="1", metavar="N", help="what files up to N make (1)")
    commands.add_parser("repair", parents=[files], help="make the history say what the files say")
    return parser.parse_args(argv)


def _info(connection: Connection, scripts: list[Script], as_json: bool) -> None:
    lines = overview(scripts, read_history(connection))
    if as_json:
        print(json.dumps([dataclasses.asdict(line) for line in lines], default=str))
        return
    print(f"{'version':<10}{'state':<10}{'installed on (UTC)':<22}description")
    for line in lines:
        when = f"{line.installed_on:%Y-%m-%d %H:%M:%S}" if line.installed_on else ""
        print(f"{line.version:<10}{line.state:<10}{when:<22}{line.description}")


def _validate(connection: Connection, scripts: list[Script]) -> None:
    history = read_history(connection)
    wrong = problems(scripts, history) + [f"{script.name} was not run yet." for script in pending(scripts, history)]
    if wrong:
        raise MigrationError(" ".join(wrong))


def _run(arguments: argparse.Namespace, connection: Connection, scripts: list[Script], database: Database) -> None:
    command, done = arguments.command, {}
    if command == "info":
        return _info(connection, scripts, arguments.json)
    if command == "validate":
        return _validate(connection, scripts)
    if command == "migrate":
        done["migrations_run"] = len(migrate(connection, scripts, database.wait_s))
    elif command == "undo":
        done["migrations_undone"] = len(undo(connection, scripts, database.wait_s, arguments.down_to))
    elif command == "baseline":
        baseline(connection, database.wait_s, arguments.version)
    else:
        change = repair(connection, scripts, database.wait_s)
        done = {
            "forgotten": len(change.forget),
            "aligned": len(change.align),
            "marked_deleted": len(change.mark_deleted),
        }
    said = "schema is up to date" if command == "migrate" else f"{command}: done"
    log.info(said, extra={"fields": done})
    return None


def main(argv: Sequence[str]) -> int:
    """Runs one command."""
    arguments = _arguments(argv)
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    try:
        database = database_from_env(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    configure(level if level in LOG_LEVELS else "INFO", [database.password])
    try:
        scripts = scripts_in(arguments.folder)
        with closing(wait_for_database(database)) as connection:
            _run(arguments, connection, scripts, database)
    except MigrationError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
