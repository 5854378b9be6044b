#!/bin/sh
# The contract of the upstream image's entrypoint, written anew: an option or a .conf is for redis-server, and root
# becomes redis.
set -eu

case ${1-} in -* | *.conf) set -- redis-server "$@" ;; esac

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ] && [ -z "${SKIP_DROP_PRIVS-}" ]; then
    find . ! -user redis -exec chown redis {} +
    exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
umask 0077
exec "$@"
