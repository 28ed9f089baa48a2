#!/usr/bin/env bash
# Where in the pictures of a session a policy found what moves the arms. --help lists all flags.
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli explain "$@"
