#!/bin/sh
# The contract of the upstream image's entrypoint, written anew: an option, or what isn't a program, is for node.
set -eu

case ${1-} in
    -*) set -- node "$@" ;;
    *) command -v "${1-}" >/dev/null || set -- node "$@" ;;
esac
exec "$@"
