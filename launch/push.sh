#!/usr/bin/env bash
# Put a policy on the hub: push.sh DIR ORG/NAME [--private].
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli push "$@"
