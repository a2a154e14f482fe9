#!/bin/sh
# Renders the configuration from the environment, then becomes nginx.
#   BACKEND_URL     where /api goes, "http://backend:80"; a name without a dot is completed as the pod's resolv.conf says
#   LISTEN_PORT     80       STATUS_PORT  8081 (stub_status, on 127.0.0.1 only)
#   WORKERS         2        RUN_DIR      /tmp/nginx
#   RESOLVER        the first nameserver of /etc/resolv.conf
#   ROOT            /usr/share/capstan/html
set -eu

fail() {
    echo "configuration: $1" >&2
    exit 2
}

number() { # name value highest
    case $2 in '' | *[!0-9]*) fail "$1 is '$2', not a whole number from 1 to $3" ;; esac
    [ "$2" -ge 1 ] && [ "$2" -le "$3" ] || fail "$1 is '$2', not a whole number from 1 to $3"
}

here=$(cd "$(dirname "$0")" && pwd)
LISTEN_PORT=${LISTEN_PORT:-80}
STATUS_PORT=${STATUS_PORT:-8081}
WORKERS=${WORKERS:-2}
RUN_DIR=${RUN_DIR:-/tmp/nginx}
ROOT=${ROOT:-/usr/share/capstan/html}
RESOLV_CONF=${RESOLV_CONF:-/etc/resolv.conf}
number LISTEN_PORT "$LISTEN_PORT" 65535
number STATUS_PORT "$STATUS_PORT" 65535
number WORKERS "$WORKERS" 64

BACKEND_URL=${BACKEND_URL:-}
printf '%s\n' "$BACKEND_URL" | grep -Eq '^https?://[A-Za-z0-9.-]+(:[0-9]+)?/?$' ||
    fail "BACKEND_URL is '$BACKEND_URL', not of the form http://name:port"
BACKEND_URL=${BACKEND_URL%/}
host=${BACKEND_URL#*://}
host=${host%%:*}
# nginx asks the nameserver itself and knows nothing of search domains.
case $host in
*.*) ;;
*)
    domain=$(awk '$1 == "search" { print $2; exit }' "$RESOLV_CONF")
    if [ -n "$domain" ]; then
        BACKEND_URL=$(printf '%s\n' "$BACKEND_URL" | sed "s|//$host|//$host.$domain|")
    fi
    ;;
esac

RESOLVER=${RESOLVER:-$(awk '$1 == "nameserver" { print $2; exit }' "$RESOLV_CONF")}
RESOLVER=${RESOLVER:-127.0.0.1}
case $RESOLVER in
\[*) ;;
*:*:*) RESOLVER="[$RESOLVER]" ;; # nginx wants IPv6 addresses in brackets
esac
printf '%s\n' "$RESOLVER$ROOT$RUN_DIR" | grep -Eq '^[][A-Za-z0-9.:/_-]+$' || fail "RESOLVER, ROOT or RUN_DIR is malformed"

mkdir -p "$RUN_DIR"
for name in nginx.conf proxy.conf; do
    sed -e "s|@BACKEND_URL@|$BACKEND_URL|g" -e "s|@LISTEN_PORT@|$LISTEN_PORT|g" -e "s|@STATUS_PORT@|$STATUS_PORT|g" \
        -e "s|@WORKERS@|$WORKERS|g" -e "s|@RUN_DIR@|$RUN_DIR|g" -e "s|@ROOT@|$ROOT|g" -e "s|@RESOLVER@|$RESOLVER|g" \
        -e "s|@CONF_DIR@|$RUN_DIR|g" "$here/$name.template" >"$RUN_DIR/$name"
done
cp "$here/headers.conf" "$RUN_DIR/headers.conf"

# -e: errors before the configuration is read go to stderr, too, and not to a file that cannot be written.
exec nginx -e stderr -c "$RUN_DIR/nginx.conf" -g 'daemon off;'
