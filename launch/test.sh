#!/usr/bin/env bash
# Set everything up and run the whole test suite; further words go to pytest.
extras="dev robot"
. "$(dirname "$0")/setup.sh"
exec "$python" -m pytest "$@"
