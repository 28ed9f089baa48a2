#!/usr/bin/env bash
# Success rates of a policy in simulation: ./launch/evaluate.sh --task all --rollouts 50 --repeats 3 --ratio 8 --json FILE
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli evaluate "$@"
