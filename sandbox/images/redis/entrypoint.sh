#!/bin/sh
# Options alone, or a configuration file, are meant for the server. As in the well-known image, a server without
# a password answers other machines: in a pod, loopback alone would be of no use. A configuration file may differ.
set -e
case "${1:-}" in
  -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "${1:-}" = redis-server ]; then
  shift
  case "${1:-}" in
    "" | -*) set -- --protected-mode no "$@" ;;
    *) grep -q '^protected-mode' "$1" || { file=$1; shift; set -- "$file" --protected-mode no "$@"; } ;;
  esac
  set -- redis-server "$@"
fi
exec "$@"
