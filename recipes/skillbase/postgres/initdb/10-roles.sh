#!/bin/bash
# Roles and databases. The passwords are read from secrets here, so neither the image nor the container's environment has them.
# If this fails, the data directory is there, but not complete, and the next start would take it as it is: remove the volume first.
set -eu

for name in skillbase keycloak flowable debezium; do
    if [ ! -s "/run/secrets/$name-db-password" ]; then
        echo "$0: /run/secrets/$name-db-password is missing or empty" >&2
        exit 1
    fi
done

psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres <<'SQL'
-- or the log would have the passwords
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';

\set skillbase `cat /run/secrets/skillbase-db-password`
\set keycloak `cat /run/secrets/keycloak-db-password`
\set flowable `cat /run/secrets/flowable-db-password`
\set debezium `cat /run/secrets/debezium-db-password`

CREATE ROLE skillbase LOGIN PASSWORD :'skillbase';
CREATE ROLE keycloak LOGIN PASSWORD :'keycloak';
CREATE ROLE flowable LOGIN PASSWORD :'flowable';
CREATE ROLE debezium LOGIN REPLICATION PASSWORD :'debezium';

CREATE DATABASE skillbase OWNER skillbase;
CREATE DATABASE keycloak OWNER keycloak;
CREATE DATABASE flowable OWNER flowable;

REVOKE CONNECT, TEMPORARY ON DATABASE skillbase, keycloak, flowable FROM PUBLIC;
GRANT CONNECT ON DATABASE skillbase TO debezium;
SQL
