#!/usr/bin/env bash
# Give a running robot a command: ./launch/operator.sh arm|run|takeover|hold|ready|rest|release|stop|clear [--confirm]
# A hold must not wait for an installation: where there is a venv, it is used as it is.
folder=$(cd "$(dirname "$0")/.." && pwd)
if [ -x "$folder/.venv/bin/python" ]; then PYTHONSAFEPATH=1 exec "$folder/.venv/bin/python" -m runtime.cli operator "$@"; fi
extras=""
. "$folder/launch/setup.sh"
exec "$python" -m runtime.cli operator "$@"
