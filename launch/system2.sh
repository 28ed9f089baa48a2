#!/usr/bin/env bash
# Run System 2 alone, on a GPU box: ./launch/system2.sh --robot tcp://ROBOT:5760 --keys DIR [--policy.checkpoint DIR]
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli system2 "$@"
