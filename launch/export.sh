#!/usr/bin/env bash
# Recorded sessions as demonstrations: ./launch/export.sh SESSION... --to hdf5|lerobot --out DIR
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli export "$@"
