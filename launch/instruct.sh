#!/usr/bin/env bash
# Encode instructions before a run: ./launch/instruct.sh "put the block on the mat" ...
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli instruct "$@"
