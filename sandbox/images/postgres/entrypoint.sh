#!/bin/bash
# Makes the database at the first start, then runs the server. Needs no root and no writable root file system:
# the socket goes to /var/run/postgresql where that is writable, else to /tmp, else nowhere.
set -Eeuo pipefail
umask 0077

value_of() { # NAME: the variable's value, or its NAME_FILE's content
  local name=$1 file="${1}_FILE"
  if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
    echo "both $name and $file are set: give one" >&2
    exit 1
  fi
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!name:-}"; fi
}

socket_folder() {
  local folder
  for folder in /var/run/postgresql /tmp; do
    if [ -w "$folder" ]; then echo "$folder"; return; fi
  done
}

create_database() { # into $1, which takes the place of PGDATA when all is done
  local data=$1 user password database
  user=$(value_of POSTGRES_USER); user=${user:-postgres}
  password=$(value_of POSTGRES_PASSWORD)
  database=$(value_of POSTGRES_DB); database=${database:-$user}
  if [ -z "$password" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    echo 'POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE) must be set for the first start' >&2
    exit 1
  fi
  # shellcheck disable=SC2086  # several options in one variable, as the well-known image takes them
  initdb --pgdata="$data" --username="$user" --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust \
    --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-} \
    ${password:+--pwfile=<(printf '%s\n' "$password")}
  echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$data/pg_hba.conf"
  if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s";\n' "${database//\"/\"\"}" |
      postgres --single -D "$data" postgres > /dev/null
  fi
}

start_server() {
  local socket
  socket=$(socket_folder)
  # A volume's group bits (fsGroup) come back with every mount; the server refuses a data folder that others can read.
  chmod 0700 "$PGDATA"
  exec "$@" -c "listen_addresses=*" -c "unix_socket_directories=$socket"
}

if [ "${1:-}" != postgres ]; then
  case "${1:-}" in
    -*) set -- postgres "$@" ;;
    *) exec "$@" ;;
  esac
fi

mkdir -p "$PGDATA"
if ! chmod 0700 "$PGDATA" 2> /dev/null; then
  echo "$PGDATA belongs to another user than $(id -u): set PGDATA to a folder below it" >&2
  exit 1
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # A start that was killed half-way must not look like a database: .new comes first, the version file last.
  if [ -d "$PGDATA/.new" ]; then
    find "$PGDATA" -mindepth 1 -delete
  elif [ -n "$(find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit)" ]; then
    echo "$PGDATA holds files that are no database of this version: they were left alone" >&2
    exit 1
  fi
  mkdir "$PGDATA/.new"
  create_database "$PGDATA/.new"
  find "$PGDATA/.new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
  mv "$PGDATA/.new/PG_VERSION" "$PGDATA/PG_VERSION"
fi
rm -rf "$PGDATA/.new"
start_server "$@"
