"""Where a test sandbox keeps its state when nobody says where."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.aws.state_folder import temporary_state

ROOT = Path(__file__).resolve().parents[3]

# A test process that makes a folder and then waits to be killed.
OWNER = """
import sys
from pathlib import Path
from sandbox.aws.state_folder import temporary_state
made = temporary_state(Path(sys.argv[1]), 0)
print(made.name, flush=True)
sys.stdin.read()
"""


def test_memory_is_taken_only_where_there_is_plenty(tmp_path: Path) -> None:
    with temporary_state(tmp_path, 0) as in_memory, temporary_state(tmp_path, 1 << 60) as elsewhere:
        assert Path(in_memory).parent == tmp_path
        assert Path(elsewhere).parent == Path(tempfile.gettempdir())
    with temporary_state(tmp_path / "not there", 0) as elsewhere:
        assert Path(elsewhere).parent == Path(tempfile.gettempdir())


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    (tmp_path / "aws-sandbox-of-somebody-else").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        (folder / "data").write_text("of a database")
        with temporary_state(tmp_path, 0):
            assert (folder / "data").exists()
        owner.kill()
    assert (folder / "data").exists()
    with temporary_state(tmp_path, 0) as mine:
        assert {entry.name for entry in tmp_path.iterdir()} == {"aws-sandbox-of-somebody-else", Path(mine).name}
