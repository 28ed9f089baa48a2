#!/usr/bin/env bash
# Write demonstrations of the scripted experts: ./launch/demos.sh --task all --episodes 100 --out DIR
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli demos "$@"
