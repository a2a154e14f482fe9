#!/usr/bin/env bash
# Every test but the full kill sweep and the sandbox's own life cycle. Groups run side by side, because some compute and
# others mostly wait for pods; what each printed follows as it ends, with a sign of life in between. Failures come last.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
export PATH="$PWD/.venv/bin:$PATH"
TIMEFORMAT='%R s, of the processor %U s and %S s in the system'
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
not_here='not sandbox_lifecycle'
tests() { # pytest, saying what took longest
  pytest -q --durations=8 --durations-min=5 "$@"
}

engine() {
  tests --timeout=1800 tests/unit
}
service() {
  tests --timeout=900 --cov --cov-report="json:$logs/coverage.json" app/backend/tests \
    && python -m tests.covered "$logs/coverage.json" 90 85
}
page() {
  # Not `npm ci`: the group "service" builds the page, too, and build.sh lets only one of them install packages.
  tests/lint.sh && app/frontend/build.sh > /dev/null && app/frontend/node.sh run check \
    && tests -m "not cluster and $not_here" --timeout=900 tests/integration --ignore=tests/integration/aws
}
kinds() {
  tests --timeout=900 tests/integration/aws
}
pods() {
  tests -m "cluster and $not_here" --timeout=900 tests/integration
}
whole_runs() {
  tests --timeout=900 tests/acceptance tests/torture
}

runs() { # GROUP: whether it has not ended yet
  ! [ -e "$logs/$1.status" ] && kill -0 "${pids[$1]}" 2> /dev/null
}
far() { # GROUP: how much of what it runs is done
  if runs "$1"; then echo "$1 $(grep -aoE '[0-9]+%' "$logs/$1" | tail -n1)"; else echo "$1 ended"; fi
}

groups=(engine service page kinds pods whole_runs)
failed=()
declare -A pids
for group in "${groups[@]}"; do
  # In a file, as bash forgets the status of a process that ended long before it is asked for.
  {
    { time "$group"; } > "$logs/$group" 2>&1
    echo $? > "$logs/$group.status"
  } &
  pids[$group]=$!
done
began=$SECONDS
for group in "${groups[@]}"; do
  while runs "$group"; do
    for _ in {1..16}; do runs "$group" && sleep 0.5; done
    printf '%5d s ' $((SECONDS - began)); for each in "${groups[@]}"; do printf ' %s' "$(far "$each")"; done; echo
  done
  if [ "$(cat "$logs/$group.status")" = 0 ]; then echo "==> $group"; cat "$logs/$group"; else failed+=("$group"); fi
done
for group in "${failed[@]}"; do echo "==> $group failed"; cat "$logs/$group"; done
if ((${#failed[@]})); then echo "failed: ${failed[*]}"; exit 1; fi
echo "all groups passed in $((SECONDS - began)) s"
