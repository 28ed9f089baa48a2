#!/usr/bin/env bash
# A policy for other robots and simulators, by openpi's protocol. --help lists all flags.
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli serve "$@"
