#!/usr/bin/env bash
# Both ways with the real openpi-client: it asks `serve` for chunks of the shipped policy, and a robot asks a server that is made of
# its codec and its websockets: ./tests/real_openpi.sh
# Needs the network for a throwaway venv (openpi-client wants an older numpy than ours), so test.sh leaves it out.
set -euo pipefail
cd "$(dirname "$0")/.."
away=$(mktemp -d)
servers=
trap 'kill $servers 2>/dev/null || true; rm -rf "$away"' EXIT
python3 -m venv "$away/venv"
"$away/venv/bin/pip" install --quiet openpi-client==0.1.2 typing_extensions   # the client imports the second without naming it
started() {  # LOG PATTERN: wait until the newest server says where it is
  for _ in $(seq 240); do
    grep -q "$2" "$1" && return
    kill -0 "${servers##* }" 2>/dev/null || { cat "$1" >&2; exit 1; }
    sleep 0.5
  done
}
./launch/serve.sh --port 0 >"$away/serve" 2>&1 &
servers=$!
started "$away/serve" "serving at"
"$away/venv/bin/python" tests/real_openpi.py "$(sed -n 's/.*serving at \(ws:[^ ]*\).*/\1/p' "$away/serve")"
kill $servers
"$away/venv/bin/python" tests/real_openpi_server.py >"$away/foreign" 2>&1 &
servers+=" $!"
started "$away/foreign" "listening at"
there=$(sed -n 's/listening at //p' "$away/foreign")
if ./launch/robot.sh --policy.server "$there" --sessions "$away/sessions" 2>"$away/refused"; then exit 1; fi
grep "does not say cameras, dt_s, grippers, frame, pictures" "$away/refused"
./launch/robot.sh --profile sim --seconds 6 --no-console.enabled --sessions "$away/sessions" --policy.server "$there" \
  --policy.wire.cameras.head cam_high --policy.wire.cameras.left_wrist cam_left_wrist --policy.wire.dt_s 0.04 \
  --policy.wire.grippers m --policy.wire.frame absolute --policy.wire.pictures 224x224
cat "$away/foreign"
./launch/replay.sh "$away"/sessions/* --lockstep
