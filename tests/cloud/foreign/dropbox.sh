#!/usr/bin/env bash
# The Dropbox Python SDK against the emulator, by address and under the real names.
#
#   foreign/dropbox.sh path/to/cloud path/to/python
set -euo pipefail
cloud=$1 python=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
for mode in "" --proxy; do
    rm -f ports
    # shellcheck disable=SC2086
    "$cloud" serve --detach $mode --ca-out ca.pem --port-file ports >/dev/null &
    pid=$!
    for _ in $(seq 100); do [ -s ports ] && break; sleep 0.1; done
    CLOUD_PORTS=ports CLOUD_CA=ca.pem "$python" "$here/dropbox.py"
    kill "$pid"
    wait "$pid" 2>/dev/null || true
done
