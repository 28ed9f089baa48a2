#!/usr/bin/env bash
# Start the robot, or the simulated one: ./launch/robot.sh --profile sim --seconds 30
extras="robot"
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli robot "$@"
