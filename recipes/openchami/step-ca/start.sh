#!/bin/bash
set -euo pipefail

# The image's entrypoint makes the authority where there is none, and prints the provisioner's password when it has. What
# went wrong comes by the other way.
if [ ! -f "$CONFIGPATH" ]; then
    /bin/bash /entrypoint.sh true > /dev/null
fi

# One that has been removed or renamed since is nobody's to bring back.
for provisioner in "$DOCKER_STEPCA_INIT_PROVISIONER_NAME" acme; do
    if ! grep -Eq "\"name\": *\"$provisioner\"" "$CONFIGPATH"; then
        echo "$0: no provisioner $provisioner: its durations stay as they are" >&2
        continue
    fi
    step ca provisioner update "$provisioner" --ca-config "$CONFIGPATH" \
        --x509-min-dur 5m --x509-default-dur {{ default_life }} --x509-max-dur {{ longest_life }} > /dev/null
done

exec step-ca --password-file "$DOCKER_STEPCA_INIT_PASSWORD_FILE" "$CONFIGPATH"
