#!/usr/bin/env bash
# rclone against the emulators: both services under their real names through the proxy, and
# OneDrive once more in plain HTTP through tenant_url. Fails on the first thing that is not as it
# should be, and if the emulators met a request they do not know.
#
#   foreign/rclone.sh path/to/cloud path/to/rclone
set -euo pipefail
cloud=$1 rclone=$2
work=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"

"$cloud" serve --proxy --detach --ca-out ca.pem --token-dir tokens --port-file ports --log log.jsonl \
    ${CLOUD_OPTIONS:-} >/dev/null &
pid=$!
for _ in $(seq 100); do [ -s ports ] && break; sleep 0.1; done
port() { python3 -c "import json;print(json.load(open('ports'))$1)"; }
control="http://$(port '["control"]')" plain="http://$(port '["plain"]')" proxy="http://$(port '["proxy"]')"

cat > rclone.conf <<CONF
[od]
type = onedrive
drive_id = $(port '["drive_id"]')
drive_type = ${DRIVE_TYPE:-business}
client_id = $(port '["clients"]["onedrive"]["id"]')
client_secret = $(port '["clients"]["onedrive"]["secret"]')
token = $(cat tokens/onedrive.json)

[odplain]
type = onedrive
drive_id = $(port '["drive_id"]')
drive_type = ${DRIVE_TYPE:-business}
tenant_url = $plain/_api
token_url = $plain/common/oauth2/v2.0/token
client_id = $(port '["clients"]["onedrive"]["id"]')
client_secret = $(port '["clients"]["onedrive"]["secret"]')
token = $(curl -sf "$control/token?service=onedrive" | sed 's/"expiry":"[^"]*"/"expiry":"2020-01-01T00:00:00Z"/')

[db]
type = dropbox
client_id = $(port '["clients"]["dropbox"]["id"]')
client_secret = $(port '["clients"]["dropbox"]["secret"]')
token = $(cat tokens/dropbox.json)

[dbsingle]
type = dropbox
batch_mode = off
client_id = $(port '["clients"]["dropbox"]["id"]')
client_secret = $(port '["clients"]["dropbox"]["secret"]')
token = $(cat tokens/dropbox.json)
CONF

mkdir -p data/sub/deep "data/Ünïcode ☃" data/many
: > data/empty.bin
head -c 10240 /dev/urandom > data/ten.bin
head -c 52428800 /dev/urandom > data/sub/fifty.bin
head -c 327680 /dev/urandom > "data/Ünïcode ☃/日本語 emoji 😀 #%.dat"
echo deep > data/sub/deep/leaf.txt
for n in $(seq 40); do head -c 2048 /dev/urandom > "data/many/$n"; done

run() { "$rclone" --config rclone.conf --retries 1 --low-level-retries 3 "$@"; }

round() {
    local remote=$1
    echo "== $remote"
    run copy data "$remote:bk"
    run check --download data "$remote:bk"
    run check data "$remote:bk"
    run copy data "$remote:bk" -v >second 2>&1
    grep -q "There was nothing to transfer" second || { cat second; exit 1; }
    diff <(cd data && find . -type f | sed 's/^..//' | sort) <(run lsf -R --files-only "$remote:bk" | sort)
    head -c 20000 /dev/urandom > data/ten.bin
    run copy data "$remote:bk"
    run check --download data "$remote:bk"
    run copyto "$remote:bk/ten.bin" "$remote:bk/copied/eleven.bin"
    run cat "$remote:bk/copied/eleven.bin" | cmp - data/ten.bin
    run moveto "$remote:bk/copied/eleven.bin" "$remote:bk/moved/twelve.bin"
    run cat "$remote:bk/moved/twelve.bin" | cmp - data/ten.bin
    run cat --offset 100 --count 50 "$remote:bk/ten.bin" | cmp - <(tail -c +101 data/ten.bin | head -c 50)
    run copy "$remote:bk" back
    run check data back --one-way --download
    rm -rf back
    run about "$remote:" >/dev/null
    run mkdir "$remote:bk/made/here"
    run rmdir "$remote:bk/made/here"
    run deletefile "$remote:bk/moved/twelve.bin"
    run delete "$remote:bk/many"
    [ -z "$(run lsf -R --files-only "$remote:bk/many")" ]
    run purge "$remote:bk"
    ! run lsf "$remote:bk" 2>/dev/null
}

export HTTPS_PROXY=$proxy SSL_CERT_FILE=$work/ca.pem
round od
round db
round dbsingle
unset HTTPS_PROXY
round odplain

summary=$(curl -sf "$control/summary")
echo "$summary"
curl -sf "$control/proxied" | python3 -c 'import json,sys,collections;print(dict(collections.Counter(json.load(sys.stdin))))'
echo "$summary" | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert s["unknown"] == 0 and s["leaked_authorization"] == 0 and s["too_early"] == 0, s'
echo "rclone: all passed"
