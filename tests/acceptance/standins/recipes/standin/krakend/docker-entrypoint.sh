#!/bin/sh
# The contract of the upstream image's entrypoint, written anew: a subcommand or an option is for krakend, and root becomes
# krakend.
set -eu

case ${1-} in
    run | check | audit | version | -*) set -- krakend "$@" ;;
esac
if [ "$1" = krakend ] && [ "$(id -u)" = 0 ]; then
    exec setpriv --reuid=krakend --regid=krakend --clear-groups "$@"
fi
exec "$@"
