#!/bin/bash
# Run once, by the entrypoint, when the data directory is empty: a role and its database for each service.
# Fails as a whole before anything is made if a password is missing. After a failure empty the volume, since the
# entrypoint takes a data directory that is there for a finished one.
set -euo pipefail

services='smd:hmsds bss:bssdb hydra:hydradb'

for service in $services; do
    file=/run/secrets/${service%%:*}-db-password
    # smd and bss put it into a connection string without quoting.
    if [[ ! $(<"$file") =~ ^[A-Za-z0-9._~-]{8,}$ ]]; then
        echo "$0: $file: 8 or more letters, digits or . _ ~ - are needed" >&2
        exit 1
    fi
done

for service in $services; do
    # The password goes by a file, neither as an argument nor into the server's log.
    psql -X -q -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres \
        -v role="${service%%:*}-user" -v database="${service#*:}" -v file="/run/secrets/${service%%:*}-db-password" <<'SQL'
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
\set password `cat :'file'`
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"role";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
SQL
    echo "$0: role ${service%%:*}-user and database ${service#*:}"
done
