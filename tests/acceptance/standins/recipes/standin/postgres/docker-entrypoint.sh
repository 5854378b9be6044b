#!/bin/bash
# The contract of the upstream image's entrypoint, written anew: as root it gives the data directory to postgres and
# becomes postgres; an empty data directory is made by initdb and /docker-entrypoint-initdb.d.
set -euo pipefail

# The value of NAME or the content of the file NAME_FILE, else the default.
take() {
    local file=$1_FILE
    if [ -n "${!1-}" ] && [ -n "${!file-}" ]; then
        echo "$1 and $file are both set" >&2
        exit 1
    fi
    if [ -n "${!file-}" ]; then
        export "$1=$(<"${!file}")"
    else
        export "$1=${!1-${2-}}"
    fi
    unset "$file"
}

initialize() {
    local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256} entry
    take POSTGRES_PASSWORD
    take POSTGRES_USER postgres
    take POSTGRES_DB "$POSTGRES_USER"
    take POSTGRES_INITDB_ARGS
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
        echo "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE is needed for a new database" >&2
        exit 1
    fi
    eval "initdb --username=\"\$POSTGRES_USER\" --pwfile=<(echo \"\$POSTGRES_PASSWORD\") $POSTGRES_INITDB_ARGS"
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"

    # For the scripts: on the socket only, so that nobody outside takes it for ready.
    export PGPASSWORD=$POSTGRES_PASSWORD
    PGUSER=$POSTGRES_USER pg_ctl -w start -o "$(printf '%q ' "${@:2}" -c listen_addresses= -p "${PGPORT:-5432}")"
    psql=(psql -X -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password)
    if [ "$POSTGRES_DB" != postgres ]; then
        "${psql[@]}" -d postgres -v name="$POSTGRES_DB" <<<'CREATE DATABASE :"name"'
    fi
    for entry in /docker-entrypoint-initdb.d/*; do
        echo "$0: $entry"
        case $entry in
            *.sh) if [ -x "$entry" ]; then "$entry"; else . "$entry"; fi ;;
            *.sql) "${psql[@]}" -d "$POSTGRES_DB" -f "$entry" ;;
            *.sql.gz) gunzip -c "$entry" | "${psql[@]}" -d "$POSTGRES_DB" ;;
        esac
    done
    pg_ctl -m fast -w stop
    unset PGPASSWORD
    echo "$0: the database is made"
}

case ${1-} in -*) set -- postgres "$@" ;; esac

if [ "${1-}" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        chmod 0700 "$PGDATA"
        find "$PGDATA" /run/postgresql ! -user postgres -exec chown postgres {} +
        exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
    fi
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA" || :
    [ -s "$PGDATA/PG_VERSION" ] || initialize "$@"
fi
exec "$@"
