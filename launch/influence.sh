#!/usr/bin/env bash
# What a policy's chunks depend on: ./launch/influence.sh --policy.checkpoint DIR --data DIR --json FILE
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli influence "$@"
