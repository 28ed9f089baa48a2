#!/usr/bin/env bash
# A recorded session as a trace for ui.perfetto.dev. --help lists all flags.
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli trace "$@"
