#!/usr/bin/env bash
# Set everything up and run the whole test suite; further words go to pytest, which then runs alone.
extras="dev robot"
commands=chromium   # the console is tested in a real browser
. "$(dirname "$0")/setup.sh"
cd "$repository" && unset PYTHONSAFEPATH
if [ $# -gt 0 ]; then exec "$python" -m pytest "$@"; fi
# One thread each, since the workers fill two cores; whole files, so that each fixture is made once.
OMP_NUM_THREADS=1 "$python" -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder -m "not live"
exec "$python" -m pytest -q -m live   # robots in real time: one at a time, and nothing beside them
