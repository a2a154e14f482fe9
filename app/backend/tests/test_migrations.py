"""Migrations on a database of their own, through the command line where an init container goes."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from backend.config import Database
from backend.migrations.__main__ import main
from backend.migrations.runner import connect, lock_number, migrate, read_history
from backend.migrations.scripts import SQL_FOLDER, MigrationError, checksum, script_from_file, scripts_in

Query = Callable[[str], list[tuple[Any, ...]]]
Command = Callable[..., int]


@pytest.fixture
def query(empty_database: Database) -> Query:
    """Runs a statement on the test's database."""

    def run(statement: str) -> list[tuple[Any, ...]]:
        with closing(connect(empty_database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def first_three(tmp_path: Path) -> Path:
    """A folder with the first three migrations: what these tests say holds however many there are."""
    made = tmp_path / "first-three"
    made.mkdir()
    for path in SQL_FOLDER.glob("[VU][123]__*.sql"):
        (made / path.name).write_bytes(path.read_bytes())
    return made


@pytest.fixture
def command(first_three: Path, empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a migrations command as an init container does, on the first three migrations unless it names a folder;
    gives its exit status."""
    monkeypatch.setenv("DATABASE_HOST", empty_database.host)
    monkeypatch.setenv("DATABASE_PORT", str(empty_database.port))
    monkeypatch.setenv("DATABASE_NAME", empty_database.name)
    monkeypatch.setenv("DATABASE_USER", "app")
    monkeypatch.setenv("DATABASE_PASSWORD", "s3cret-pa55")
    monkeypatch.setenv("DATABASE_WAIT", "10")
    return lambda *arguments: main([*arguments, *([] if "--folder" in arguments else ["--folder", str(first_three)])])


@pytest.fixture
def folder(first_three: Path, tmp_path: Path) -> Path:
    """A folder with the same migrations, to be changed by the test."""
    made = tmp_path / "changed"
    shutil.copytree(first_three, made)
    return made


def test_migrate_makes_the_schema_and_its_history(command: Command, query: Query) -> None:
    assert command("migrate") == 0
    rows = query(
        "SELECT installed_rank, version, description, type, script, checksum, installed_by, success,"
        " execution_time >= 0 FROM flyway_schema_history ORDER BY 1"
    )
    assert [row[:5] for row in rows] == [
        (1, "1", "Create users table", "SQL", "V1__Create_users_table.sql"),
        (2, "2", "Add indexes", "SQL", "V2__Add_indexes.sql"),
        (3, "3", "Add audit columns", "SQL", "V3__Add_audit_columns.sql"),
    ]
    # As Flyway 10.22 computed them for the same files.
    assert [row[5] for row in rows] == [-196725969, -689648762, 33877054]
    assert [row[6:] for row in rows] == [("app", True, True)] * 3


def test_the_indexes_are_those_that_were_asked_for(command: Command, query: Query) -> None:
    command("migrate")
    found = query("SELECT indexdef FROM pg_indexes WHERE tablename = 'users' ORDER BY indexname")
    assert [row[0].partition(" ON ")[2] for row in found] == [
        "public.users USING btree (created_at)",
        "public.users USING btree (created_at, status)",
        "public.users USING btree (lower((email)::text))",
        "public.users USING btree (id)",
    ]
    assert "UNIQUE" in found[2][0] and "UNIQUE" in found[3][0]


def test_the_history_table_has_the_columns_that_flyway_makes(command: Command, query: Query) -> None:
    command("migrate")
    columns = query(
        "SELECT column_name, data_type, character_maximum_length, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_name = 'flyway_schema_history' ORDER BY ordinal_position"
    )
    assert columns == [
        ("installed_rank", "integer", None, "NO", None),
        ("version", "character varying", 50, "YES", None),
        ("description", "character varying", 200, "NO", None),
        ("type", "character varying", 20, "NO", None),
        ("script", "character varying", 1000, "NO", None),
        ("checksum", "integer", None, "YES", None),
        ("installed_by", "character varying", 100, "NO", None),
        ("installed_on", "timestamp without time zone", None, "NO", "now()"),
        ("execution_time", "integer", None, "NO", None),
        ("success", "boolean", None, "NO", None),
    ]


def test_migrating_again_changes_nothing(command: Command, query: Query) -> None:
    command("migrate")
    before = query("SELECT xmin::text, * FROM flyway_schema_history ORDER BY installed_rank")
    assert command("migrate") == 0
    assert query("SELECT xmin::text, * FROM flyway_schema_history ORDER BY installed_rank") == before


def test_a_changed_file_is_refused_and_nothing_is_run(
    command: Command, folder: Path, query: Query, capsys: pytest.CaptureFixture[str]
) -> None:
    command("migrate")
    path = folder / "V2__Add_indexes.sql"
    path.write_text(path.read_text() + "-- afterthought\n")
    (folder / "V4__Add_phone.sql").write_text("ALTER TABLE users ADD COLUMN phone text")
    assert command("migrate", "--folder", str(folder)) == 1
    assert "V2__Add_indexes.sql was changed after it was run" in capsys.readouterr().out
    assert command("validate", "--folder", str(folder)) == 1
    assert query("SELECT max(installed_rank) FROM flyway_schema_history") == [(3,)]


def test_other_line_ends_are_no_change(command: Command, folder: Path) -> None:
    command("migrate")
    path = folder / "V2__Add_indexes.sql"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert command("validate", "--folder", str(folder)) == 0


def test_a_file_that_fails_is_rolled_back_whole_and_those_before_it_stay(
    command: Command, folder: Path, query: Query, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "V4__Add_phone.sql").write_text("ALTER TABLE users ADD COLUMN phone text; SELECT nonsense")
    assert command("migrate", "--folder", str(folder)) == 1
    output = capsys.readouterr().out
    assert "V4__Add_phone.sql" in output and 'column \\"nonsense\\" does not exist' in output
    assert query("SELECT max(version) FROM flyway_schema_history WHERE success") == [("3",)]
    assert query("SELECT 1 FROM information_schema.columns WHERE column_name = 'phone'") == []
    (folder / "V4__Add_phone.sql").write_text("ALTER TABLE users ADD COLUMN phone text")
    assert command("migrate", "--folder", str(folder)) == 0


def test_two_runners_at_once_run_every_file_once(empty_database: Database, query: Query, until: Any) -> None:
    scripts = [script for script in scripts_in(SQL_FOLDER) if script.order <= (3,)]
    slow = script_from_file("V4__Slow.sql", b"SELECT pg_sleep(1)")
    ran: list[int] = []

    def run() -> None:
        with closing(connect(empty_database)) as connection:
            ran.append(len(migrate(connection, [*scripts, slow], 20)))

    runners = [threading.Thread(target=run) for _ in range(2)]
    for runner in runners:
        runner.start()
    until(lambda: query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
    for runner in runners:
        runner.join(30)
    assert sorted(ran) == [0, 4]
    assert query("SELECT count(*) FROM flyway_schema_history") == [(4,)]


def test_a_runner_that_waits_too_long_says_so(empty_database: Database) -> None:
    with closing(connect(empty_database)) as first, closing(connect(empty_database)) as second:
        with first.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (lock_number("public"),))
        with pytest.raises(MigrationError, match=r"another runner has been migrating for more than 0\.1 s"):
            migrate(second, scripts_in(SQL_FOLDER), 0.1)
        assert read_history(second) == []


def test_validate_fails_until_everything_was_run(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("validate") == 1
    assert "V1__Create_users_table.sql was not run yet." in capsys.readouterr().out
    command("migrate")
    assert command("validate") == 0


def test_info_shows_files_and_history_side_by_side(
    command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("migrate")
    (folder / "V4__Add_phone.sql").write_text("SELECT 1")
    capsys.readouterr()
    assert command("info", "--json", "--folder", str(folder)) == 0
    lines = json.loads(capsys.readouterr().out)
    assert [(line["version"], line["state"]) for line in lines] == [
        ("1", "success"),
        ("2", "success"),
        ("3", "success"),
        ("4", "pending"),
    ]
    assert command("info") == 0
    assert "Add audit columns" in capsys.readouterr().out


def test_info_on_an_empty_database_leaves_it_empty(command: Command, query: Query) -> None:
    assert command("info") == 0
    assert query("SELECT to_regclass('flyway_schema_history')") == [(None,)]


def test_an_older_release_starts_on_a_newer_schema(command: Command, folder: Path) -> None:
    (folder / "V4__Add_phone.sql").write_text("ALTER TABLE users ADD COLUMN phone text")
    command("migrate", "--folder", str(folder))
    assert command("migrate") == 0
    assert command("validate") == 0


def test_a_database_that_does_not_come_is_an_error_without_the_password(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_PORT", "1")
    monkeypatch.setenv("DATABASE_WAIT", "0")
    assert command("migrate") == 1
    output = capsys.readouterr().out
    assert "no database within 0 s" in output and "s3cret-pa55" not in output


def test_a_database_that_starts_late_is_waited_for(postgres: Any, command: Command) -> None:
    postgres.stop("fast")
    starter = threading.Timer(1.0, postgres.start)
    starter.start()
    assert command("migrate") == 0
    starter.join()


def test_a_wrong_environment_ends_with_status_two(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_HOST")
    assert command("migrate") == 2
    assert capsys.readouterr().err == "configuration: DATABASE_HOST is not set\n"


# -- undo, repeatable files, baseline, repair


@pytest.fixture
def history(query: Query) -> Callable[[], list[tuple[Any, ...]]]:
    """(rank, version, type, script, success) of every row."""
    return lambda: query(
        "SELECT installed_rank, version, type, script, success FROM flyway_schema_history ORDER BY installed_rank"
    )


def columns_of(query: Query) -> set[str]:
    found = query("SELECT column_name FROM information_schema.columns WHERE table_name = 'users'")
    return {name for (name,) in found}


def test_undo_takes_the_newest_version_back_and_migrate_runs_it_again(
    command: Command, query: Query, history: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command("migrate")
    assert command("undo") == 0
    assert "version" not in columns_of(query)
    # As Flyway 10.22 understands it: to its free edition the version is deleted, and pending again.
    assert history()[-1] == (4, "3", "DELETE", "V3__Add_audit_columns.sql", True)
    capsys.readouterr()
    command("info", "--json")
    assert [line["state"] for line in json.loads(capsys.readouterr().out)] == ["success", "success", "undone"]
    assert command("validate") == 1
    assert command("migrate") == 0
    assert "version" in columns_of(query)
    assert history()[-1] == (5, "3", "SQL", "V3__Add_audit_columns.sql", True)
    assert command("validate") == 0


def test_undo_goes_down_to_a_version(command: Command, query: Query, history: Any) -> None:
    command("migrate")
    assert command("undo", "--down-to", "1") == 0
    taken_back = [("3", "DELETE"), ("2", "DELETE")]
    assert [row[1:3] for row in history()[3:]] == taken_back
    assert columns_of(query) == {"id", "name", "email", "status", "created_at", "updated_at"}
    assert query("SELECT indexname FROM pg_indexes WHERE tablename = 'users'") == []
    assert command("migrate") == 0
    assert command("undo", "--down-to", "0") == 0
    assert columns_of(query) == set()
    assert command("undo") == 1, "nothing is left"
    assert command("migrate") == 0


def test_all_of_the_services_migrations_can_be_taken_back_and_run_again(command: Command, query: Query) -> None:
    there = ("--folder", str(SQL_FOLDER))
    schema = (
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    assert command("migrate") == 0
    of_three = query(schema), query(indexes)
    assert command("migrate", *there) == 0
    of_all = query(schema), query(indexes)
    assert command("undo", "--down-to", "3", *there) == 0
    assert (query(schema), query(indexes)) == of_three
    assert command("migrate", *there) == 0
    assert (query(schema), query(indexes)) == of_all


def test_what_has_no_undo_file_is_not_taken_back_and_neither_is_what_lies_above(
    command: Command, folder: Path, history: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "U2__Add_indexes.sql").unlink()
    command("migrate", "--folder", str(folder))
    before = history()
    assert command("undo", "--down-to", "1", "--folder", str(folder)) == 1
    assert "version 2 cannot be taken back: there is no U2__….sql" in capsys.readouterr().out
    assert history() == before


def test_a_repeatable_file_is_run_after_the_versions_and_again_when_it_changes(
    command: Command, folder: Path, query: Query, history: Any
) -> None:
    view = folder / "R__Active_users.sql"
    view.write_text("CREATE OR REPLACE VIEW active_users AS SELECT id FROM users WHERE status = 'active'")
    migrate_it = ("migrate", "--folder", str(folder))
    assert command(*migrate_it) == 0
    assert history()[-1] == (4, None, "SQL", "R__Active_users.sql", True)
    assert command(*migrate_it) == 0
    assert len(history()) == 4
    view.write_text("CREATE OR REPLACE VIEW active_users AS SELECT id, 7 AS n FROM users WHERE status = 'active'")
    assert command("validate", "--folder", str(folder)) == 1
    assert command(*migrate_it) == 0
    assert [row[3] for row in history()[3:]] == ["R__Active_users.sql"] * 2
    assert query("SELECT n FROM active_users") == []


def test_a_statement_that_cannot_be_in_a_transaction_is_marked(
    command: Command, folder: Path, query: Query, history: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "V4__Index_names.sql"
    path.write_text("CREATE INDEX CONCURRENTLY users_name_idx ON users (name)")
    there = ("--folder", str(folder))
    assert command("migrate", *there) == 1
    assert "cannot run inside a transaction block" in capsys.readouterr().out
    (folder / "V4__Index_names.sql.conf").write_text("# takes no lock\nexecuteInTransaction=false\n")
    assert command("migrate", *there) == 0
    assert query("SELECT count(*) FROM pg_indexes WHERE indexname = 'users_name_idx'") == [(1,)]

    (folder / "V5__Index_states.sql").write_text("CREATE INDEX CONCURRENTLY broken ON users (no_such_column)")
    (folder / "V5__Index_states.sql.conf").write_text("executeInTransaction=false")
    assert command("migrate", *there) == 1
    assert history()[-1] == (5, "5", "SQL", "V5__Index_states.sql", False)
    assert command("migrate", *there) == 1
    assert "V5__Index_states.sql failed when it was run: mend the schema, then `repair`" in capsys.readouterr().out
    assert command("repair", *there) == 0
    assert history()[-1][1] == "4"
    (folder / "V5__Index_states.sql").write_text("CREATE INDEX CONCURRENTLY fine ON users (updated_at)")
    assert command("migrate", *there) == 0


def test_a_setting_that_is_not_known_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"V1__x\.sql\.conf: 'encoding=x' is not known"):
        script_from_file("V1__x.sql", b"", "encoding=x")


def test_a_schema_with_tables_and_no_history_is_taken_over_only_by_a_baseline(
    command: Command, query: Query, history: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("V1__Create_users_table.sql", "V2__Add_indexes.sql"):
        query((SQL_FOLDER / name).read_text())
    assert command("migrate") == 1
    assert "say so with `baseline --version N`" in capsys.readouterr().out
    assert query("SELECT to_regclass('flyway_schema_history')") == [(None,)]
    assert command("baseline", "--version", "2") == 0
    assert history() == [(1, "2", "BASELINE", "<< Flyway Baseline >>", True)]
    assert command("baseline", "--version", "2") == 0, "said twice, it is still so"
    assert command("baseline", "--version", "3") == 1
    assert command("migrate") == 0
    assert [row[1] for row in history()] == ["2", "3"]
    assert "version" in columns_of(query)


def test_repair_accepts_changed_files_and_marks_those_that_are_gone(
    command: Command, folder: Path, query: Query, history: Any
) -> None:
    there = ("--folder", str(folder))
    command("migrate", *there)
    path = folder / "V1__Create_users_table.sql"
    path.write_text(path.read_text() + "-- a remark\n")
    (folder / "V2__Add_indexes.sql").unlink()
    assert command("validate", *there) == 1
    assert command("repair", *there) == 0
    assert command("validate", *there) == 0
    assert history()[-1] == (4, "2", "DELETE", "V2__Add_indexes.sql", True)
    new = checksum(path.read_bytes())
    assert query("SELECT checksum FROM flyway_schema_history WHERE version = '1'") == [(new,)]
    before = query("SELECT xmin::text, * FROM flyway_schema_history ORDER BY installed_rank")
    assert command("repair", *there) == 0
    assert query("SELECT xmin::text, * FROM flyway_schema_history ORDER BY installed_rank") == before
