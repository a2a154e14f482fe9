#!/bin/sh
# Builds the static bundle into app/frontend/dist, which the image copies. Reproducible: locked packages, no scripts run.
# Packages are installed only where they are not those of the lock file; dist appears whole or not at all.
set -eu
cd "$(dirname "$0")"
mkdir -p node_modules
exec 9>node_modules/.build.lock
flock 9
wanted=$(cat package.json package-lock.json | sha256sum)
if [ "$(cat node_modules/.capstan-installed 2>/dev/null)" != "$wanted" ]; then
    ./node.sh ci --ignore-scripts --no-audit --no-fund
    echo "$wanted" >node_modules/.capstan-installed
fi
rm -rf dist.partial
./node.sh run build -- --outDir dist.partial
rm -rf dist.old
[ ! -e dist ] || mv dist dist.old
mv dist.partial dist
rm -rf dist.old
