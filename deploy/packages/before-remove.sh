#!/bin/sh
# `remove` of dpkg and 0 of rpm: the last version goes. An upgrade lets it run.
set -e
if [ "$1" = remove ] || [ "$1" = 0 ]; then
    if [ -d /run/systemd/system ]; then
        systemctl disable --now teams-rooms-exporter.socket teams-rooms-exporter.service || true
    fi
fi
