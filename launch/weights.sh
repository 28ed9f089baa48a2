#!/usr/bin/env bash
# Fetch the published weights that a policy names: weights.sh [--size full|full-wan] [--checkpoint DIR].
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli weights "$@"
