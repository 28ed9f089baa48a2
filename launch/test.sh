#!/usr/bin/env bash
# Set everything up and run the whole test suite; further words go to pytest.
. "$(dirname "$0")/setup.sh" dev robot
exec "$python" -m pytest "$@"
