#!/usr/bin/env bash
# The real openpi-client asks `serve` for chunks of the shipped policy: ./tests/real_openpi.sh
# Needs the network for a throwaway venv (openpi-client wants an older numpy than ours), so test.sh leaves it out.
set -euo pipefail
cd "$(dirname "$0")/.."
away=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$away"' EXIT
python3 -m venv "$away/venv"
"$away/venv/bin/pip" install --quiet openpi-client==0.1.2 typing_extensions   # the client imports the second without naming it
./launch/serve.sh --port 0 >"$away/log" 2>&1 &
server=$!
for _ in $(seq 240); do
  grep -q "serving at" "$away/log" && break
  kill -0 "$server" 2>/dev/null || { cat "$away/log" >&2; exit 1; }
  sleep 0.5
done
"$away/venv/bin/python" tests/real_openpi.py "$(sed -n 's/.*serving at \(ws:[^ ]*\).*/\1/p' "$away/log")"
