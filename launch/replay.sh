#!/usr/bin/env bash
# Replay a session: ./launch/replay.sh SESSION --lockstep | --paced
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli replay "$@"
