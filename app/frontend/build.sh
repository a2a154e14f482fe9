#!/bin/sh
# Builds the static bundle into app/frontend/dist, which the image copies. Reproducible: locked packages, no scripts run.
# Packages are installed only where they are not those of the lock file; dist appears whole or not at all.
set -eu
cd "$(dirname "$0")"
# One build at a time; the script itself is the lock, since nothing else here survives `npm ci`.
exec 9<build.sh
flock 9
wanted=$(cat package.json package-lock.json | sha256sum)
if [ "$(cat node_modules/.capstan-installed 2>/dev/null)" != "$wanted" ]; then
    ./node.sh ci --ignore-scripts --no-audit --no-fund
    echo "$wanted" >node_modules/.capstan-installed
fi
rm -rf node_modules/.dist
./node.sh run build -- --outDir node_modules/.dist --emptyOutDir
rm -rf node_modules/.dist.old
[ ! -e dist ] || mv dist node_modules/.dist.old
mv node_modules/.dist dist
rm -rf node_modules/.dist.old
