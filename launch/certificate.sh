#!/usr/bin/env bash
# Make a certificate for the console's page. --help lists all flags.
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli certificate "$@"
