#!/bin/sh
# The storage goes by `purge` alone. The user stays, as files of other directories can belong to it.
set -e
if [ "$1" = purge ]; then
    rm -rf /var/lib/teams-rooms-exporter
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
