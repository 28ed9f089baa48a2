#!/usr/bin/env bash
# Folders of demonstrations, checked, converted, merged, split, relabelled: ./launch/data.sh check DIR
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli data "$@"
