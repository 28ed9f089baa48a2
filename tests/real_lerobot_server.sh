#!/usr/bin/env bash
# The real lerobot behind policy_server.sh: policies that it makes itself, asked by our client, compared with its own control loop:
# ./tests/real_lerobot_server.sh
# Needs the network and 2 GB under TMPDIR for a throwaway environment (lerobot wants other packages than ours), so test.sh leaves it out.
set -euo pipefail
cd "$(dirname "$0")/.."
away=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$away"' EXIT
export VIDEO2ACT_LEROBOT=${VIDEO2ACT_LEROBOT:-$away/environment} PYTHONPATH=$PWD PYTHONSAFEPATH=1
refused() {  # PATTERN FLAG...: refused by one line
  local pattern=$1
  shift
  if ./launch/policy_server.sh "$@" --port 0 >"$away/out" 2>"$away/refused"; then exit 1; fi
  tail -n 1 "$away/refused"
  tail -n 1 "$away/refused" | grep -q "$pattern"
}
mkdir "$away/empty"
refused "has no config.json" --lerobot "$away/empty"
"$VIDEO2ACT_LEROBOT/bin/python" tests/real_lerobot_policies.py make "$away/policies"
refused "give --cameras top=head|left_wrist|right_wrist,wrist_r=" --lerobot "$away/policies/other_cameras" --rate-hz 30
refused "is no camera of the checkpoint" --lerobot "$away/policies/other_cameras" --rate-hz 30 --cameras nose=head
refused "train it on joints in rad" --lerobot "$away/policies/degrees" --rate-hz 30
refused "give --rate-hz R" --lerobot "$away/policies/act"
for served in act diffusion; do
  ./launch/policy_server.sh --lerobot "$away/policies/$served" --rate-hz 30 --port 0 >"$away/$served.log" 2>&1 &
  server=$!
  for _ in $(seq 240); do
    grep -q "serving at" "$away/$served.log" && break
    kill -0 $server 2>/dev/null || { cat "$away/$served.log" >&2; exit 1; }
    sleep 0.5
  done
  there=$(sed -n 's/.*serving at //p' "$away/$served.log")
  .venv/bin/python tests/real_lerobot_client.py "$there" "$away/$served.npz"
  if [ "${1:-}" = --robot ] && [ $served = act ]; then  # takes a minute
    ./launch/robot.sh --profile sim --seconds 15 --no-console.enabled --sessions "$away/sessions" --policy.server "$there"
  fi
  kill $server
  wait $server
  server=
  "$VIDEO2ACT_LEROBOT/bin/python" tests/real_lerobot_policies.py compare "$away/policies/$served" "$away/$served.npz"
done
"$VIDEO2ACT_LEROBOT/bin/python" tests/real_lerobot_policies.py mapping "$away/mapping"
