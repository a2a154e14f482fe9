"""``python -m backend.migrations migrate|info|validate``.

migrate   runs what is pending; nothing to do is fine.
info      prints files and history side by side; ``--json`` for programs.
validate  exit status 1 where a file was changed, is gone, or was not run yet.

Exit status 0: done; 1: it failed, the message says why; 2: wrong configuration or arguments.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from psycopg2.extensions import connection as Connection

from backend.config import LOG_LEVELS, ConfigError, database_from_env
from backend.migrations.plan import overview, pending, problems
from backend.migrations.runner import migrate, read_history, wait_for_database
from backend.migrations.scripts import SQL_FOLDER, MigrationError, Script, scripts_in
from backend.observability.logs import configure

log = logging.getLogger("backend.migrations")


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backend.migrations", description="Schema migrations.")
    parser.add_argument("command", choices=("migrate", "info", "validate"))
    parser.add_argument("--folder", type=Path, default=SQL_FOLDER, help="where the SQL files are")
    parser.add_argument("--json", action="store_true", help="info as JSON")
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
            if arguments.command == "migrate":
                ran = migrate(connection, scripts, database.wait_s)
                log.info("schema is up to date", extra={"fields": {"migrations_run": len(ran)}})
            elif arguments.command == "info":
                _info(connection, scripts, arguments.json)
            else:
                _validate(connection, scripts)
    except MigrationError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
