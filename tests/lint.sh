#!/usr/bin/env bash
# The linters that take seconds: Python, YAML, shell, changelog fragments. `make lint` runs them before the slow ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"

ruff check .
mypy sandbox plugins tests/unit tests/torture
MYPYPATH=app/backend mypy app/backend/backend tests/bench/service/__main__.py
yamllint --strict .
mapfile -t scripts < <(git grep -lE '^#!.*(/| )(ba)?sh$' -- ':!*.py' ':!*.md')
shellcheck "${scripts[@]}"
antsibull-changelog lint
echo "lint: ruff, mypy, yamllint, shellcheck (${#scripts[@]} scripts), changelog fragments passed"
