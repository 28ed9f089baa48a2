#!/usr/bin/env bash
# Give a running robot an order: ./launch/order.sh arm|run|takeover|hold|ready|rest|release|stop|clear [--confirm]
# A hold must not wait for an installation: where there is a venv, it is used as it is.
cd "$(dirname "$0")/.."
if [ -x .venv/bin/python ]; then exec .venv/bin/python -m runtime.cli order "$@"; fi
extras=""
. launch/setup.sh
exec "$python" -m runtime.cli order "$@"
