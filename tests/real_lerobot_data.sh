#!/usr/bin/env bash
# Datasets that the real lerobot package writes are read, and it reads what data.sh makes of them: ./tests/real_lerobot_data.sh
# Needs the network and 9 GB under TMPDIR for a throwaway venv (lerobot wants an older torch than ours), so test.sh leaves it out.
# LEROBOT_PYTHON names the interpreter of one that is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
python=${LEROBOT_PYTHON:-}
if [ -z "$python" ]; then
  python3 -m venv "$away/venv"
  "$away/venv/bin/pip" install --quiet lerobot==0.4.4 h5py
  python=$away/venv/bin/python
fi
export HF_HUB_OFFLINE=1
"$python" tests/make_lerobot.py "$away/made" 2>"$away/log" || { cat "$away/log" >&2; exit 1; }
.venv/bin/python tests/read_lerobot.py "$away/made"
for name in list_images nested_videos; do
  ./launch/data.sh convert "$away/made/$name" --to lerobot --out "$away/again/$name"
  ./launch/data.sh convert "$away/made/$name" --to hdf5 --out "$away/files/$name"
  "$python" tests/real_lerobot.py "$away/again/$name" "$away/files/$name"
done
