#!/usr/bin/env bash
# Make the keys by which robot and GPU box know each other: ./launch/keys.sh DIR
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli keys "$@"
