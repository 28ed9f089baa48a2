#!/usr/bin/env bash
# Put every fault of the matrix into running simulated robots, and see what they make of it: ./launch/faults.sh --json FILE
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli faults "$@"
