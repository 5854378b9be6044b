#!/bin/sh
# /etc/nginx/templates/NAME.template becomes /etc/nginx/conf.d/NAME, with the variables of the environment filled in and
# nginx's own left alone.
set -eu

defined=$(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/${\1}/p' | tr '\n' ' ')
for template in /etc/nginx/templates/*.template; do
    [ -e "$template" ] || continue
    name=$(basename "$template" .template)
    envsubst "$defined" <"$template" >"/etc/nginx/conf.d/$name"
done
