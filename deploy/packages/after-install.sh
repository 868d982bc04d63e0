#!/bin/sh
# The service starts when it has a configuration, by `systemctl enable --now`. After an upgrade it runs again if it ran before.
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    systemctl try-restart teams-rooms-exporter.service || true
fi
