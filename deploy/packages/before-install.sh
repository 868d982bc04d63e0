#!/bin/sh
# The user first, for its storage is in the package.
set -e
if ! getent passwd teams-rooms-exporter >/dev/null; then
    shell=/usr/sbin/nologin
    [ -x "$shell" ] || shell=/sbin/nologin
    useradd --system --user-group --no-create-home --home-dir /var/lib/teams-rooms-exporter --shell "$shell" teams-rooms-exporter
fi
