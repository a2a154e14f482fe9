#!/usr/bin/env bash
# ansible-test's sanity checks, over what Ansible loads of this collection. The sandbox, the service and the tests are
# programs of their own, which tests/lint.sh reads. The checks' own environments are made once, and stay in the user's cache.
#   tests/sanity.sh                  all checks
#   tests/sanity.sh --test import    one; further arguments as for ansible-test sanity
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH"
home=${XDG_CACHE_HOME:-$HOME/.cache}/capstan/sanity
python=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
log=$(mktemp)
copy=$(mktemp -d)
trap 'rm -rf "$copy" "$log"' EXIT

prepare_home() { # ansible-test hands no variable but HOME and PATH on to the pip that fills its environments
  mkdir -p "$home/.ansible/test/cache" "$home/.config/pip"
  # pip itself: the one that comes with Python, instead of a script from a web site.
  echo 'import ensurepip; ensurepip.bootstrap(default_pip=True)' > "$home/.ansible/test/cache/get_pip_24_2.py"
  # A setting in the environment is listed first and wins.
  (umask 077 && {
    echo '[global]'
    python -m pip config list | sed -nE "s/^(:env:|global)\.([a-z-]+)='(.*)'\$/\2 = \3/p" | sed 's/\\n/ /g' | awk '!seen[$1]++'
  } > "$home/.config/pip/pip.conf")
}

copy_collection() { # ansible-test wants to stand below ansible_collections/NAMESPACE/NAME
  local collection=$copy/ansible_collections/capstan/fullstack
  mkdir -p "$collection"
  cp -r galaxy.yml README.md changelogs meta molecule playbooks plugins roles "$collection"
  cd "$collection"
}

mkdir -p "$home"
exec 9> "$home/lock"
flock 9
prepare_home
copy_collection
if ! HOME=$home ansible-test sanity --python "$python" --color no "$@" > "$log" 2>&1; then
  grep -E '^(ERROR|FATAL|See documentation)|^[a-z-]+( --python .*)?$' "$log" || cat "$log"
  exit 1
fi
echo "ansible-test sanity: $(grep -c '^Running sanity test' "$log") checks passed"
