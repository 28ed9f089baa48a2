#!/usr/bin/env bash
# Measure the runtime on this machine: ./launch/bench.sh --json FILE
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli bench "$@"
