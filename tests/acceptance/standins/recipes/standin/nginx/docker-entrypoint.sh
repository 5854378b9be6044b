#!/bin/sh
# The contract of the upstream image's entrypoint, written anew: what is executable in /docker-entrypoint.d is run in the
# order of names, *.envsh is sourced.
set -eu

case ${1-} in
    nginx | nginx-debug)
        for entry in /docker-entrypoint.d/*; do
            if [ ! -x "$entry" ]; then
                echo "$0: $entry is not executable, left out" >&2
            else
                case $entry in
                    *.envsh) . "$entry" ;;
                    *.sh) "$entry" ;;
                esac
            fi
        done
        ;;
esac
exec "$@"
