#!/bin/sh
# Builds the static bundle into app/frontend/dist, which the image copies. Reproducible: locked packages, no scripts run.
set -eu
cd "$(dirname "$0")"
./node.sh ci --ignore-scripts --no-audit --no-fund
rm -rf dist
./node.sh run build
