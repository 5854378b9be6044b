#!/bin/bash
set -euo pipefail

for provisioner in "$DOCKER_STEPCA_INIT_PROVISIONER_NAME" acme; do
    step ca provisioner update "$provisioner" --ca-config "$CONFIGPATH" \
        --x509-min-dur 5m --x509-default-dur {{ default_life }} --x509-max-dur {{ longest_life }} > /dev/null
done

exec step-ca --password-file "$DOCKER_STEPCA_INIT_PASSWORD_FILE" "$CONFIGPATH"
