#!/usr/bin/env bash
# Every test but the full kill sweep and the sandbox's own life cycle. Two groups run side by side, because one computes
# and the other mostly waits for pods; the second one's output follows when the first has ended.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

pods() { # needs the cluster; one after the other, because its volumes and namespaces are shared
  pytest -q -m 'cluster and not sandbox_lifecycle and not torture' --timeout=900 tests/integration tests/acceptance tests/torture
}
computing() { # the page, the service, the engine, the AWS kinds
  app/frontend/node.sh ci --ignore-scripts --no-audit --no-fund > /dev/null && app/frontend/node.sh run check \
    && pytest -q -n 2 --dist loadfile -m 'not cluster and not sandbox_lifecycle and not torture' --timeout=1800 \
      tests/unit tests/integration app/backend/tests \
    && python -m tests.e2e.local pytest -q tests/e2e
}

pods > "$log" 2>&1 &
waiting=$!
computing
computed=$?
echo '… and the tests that need the cluster:'
tail -n +1 -f --pid="$waiting" "$log"
wait "$waiting"
waited=$?
((computed == 0 && waited == 0))
