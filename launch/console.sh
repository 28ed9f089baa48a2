#!/usr/bin/env bash
# Look through recorded sessions in a browser, without a robot. --help lists all flags.
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli console "$@"
