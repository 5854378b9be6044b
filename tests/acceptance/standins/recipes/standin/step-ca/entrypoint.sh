#!/bin/bash
# The contract of the upstream image's entrypoint, written anew: without a configuration, and with DOCKER_STEPCA_INIT_NAME
# and _DNS_NAMES set, an authority is made first.
set -euo pipefail

if [ ! -f "$CONFIGPATH" ] && [ -n "${DOCKER_STEPCA_INIT_NAME-}" ] && [ -n "${DOCKER_STEPCA_INIT_DNS_NAMES-}" ]; then
    if [ -n "${DOCKER_STEPCA_INIT_PASSWORD_FILE-}" ]; then
        password=$(<"$DOCKER_STEPCA_INIT_PASSWORD_FILE")
    else
        password=${DOCKER_STEPCA_INIT_PASSWORD:-$(step crypto rand --format ascii 40)}
    fi
    mkdir -p "$STEPPATH/secrets" "$(dirname "$PWDPATH")"
    (umask 077 && printf '%s\n' "$password" >"$PWDPATH" && printf '%s\n' "$password" >"$STEPPATH/provisioner_password")
    options=(
        --name "$DOCKER_STEPCA_INIT_NAME" --dns "$DOCKER_STEPCA_INIT_DNS_NAMES"
        --provisioner "${DOCKER_STEPCA_INIT_PROVISIONER_NAME:-admin}" --address "${DOCKER_STEPCA_INIT_ADDRESS:-:9000}"
        --deployment-type "${DOCKER_STEPCA_INIT_DEPLOYMENT_TYPE:-standalone}"
        --password-file "$PWDPATH" --provisioner-password-file "$STEPPATH/provisioner_password"
    )
    [ -z "${DOCKER_STEPCA_INIT_ACME-}" ] || options+=(--acme)
    [ -z "${DOCKER_STEPCA_INIT_SSH-}" ] || options+=(--ssh)
    [ -z "${DOCKER_STEPCA_INIT_REMOTE_MANAGEMENT-}" ] || options+=(--remote-management)
    step ca init "${options[@]}"
    # As upstream's does.
    echo "Your CA administrative password is: $password"
    rm -f "$STEPPATH/provisioner_password"
fi
exec "$@"
