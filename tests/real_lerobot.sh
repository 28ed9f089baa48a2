#!/usr/bin/env bash
# The real lerobot package reads what export.sh writes: ./tests/real_lerobot.sh SESSION...
# Needs the network and 9 GB under TMPDIR for a throwaway venv (lerobot wants an older torch than ours), so test.sh leaves it out.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "usage: tests/real_lerobot.sh SESSION... (folders below sessions/)" >&2; exit 2; }
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
for to in lerobot hdf5; do
  ./launch/export.sh "$@" --to "$to" --out "$away/$to"
done
python3 -m venv "$away/venv"
"$away/venv/bin/pip" install --quiet lerobot==0.4.4 h5py
HF_HUB_OFFLINE=1 "$away/venv/bin/python" tests/real_lerobot.py "$away/lerobot" "$away/hdf5"
