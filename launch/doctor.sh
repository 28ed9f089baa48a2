#!/usr/bin/env bash
# Look whether the robot may be armed: ./launch/doctor.sh [--profile cobot_magic]
extras="robot"
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli doctor "$@"
