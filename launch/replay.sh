#!/usr/bin/env bash
# Replay a session: ./launch/replay.sh SESSION --lockstep | --paced | --what-if FLAGS | --on-robot
extras=""
case " $* " in *" --on-robot "*) extras="robot" ;; esac
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli replay "$@"
