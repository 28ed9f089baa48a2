#!/usr/bin/env bash
# Give a running robot an order: ./launch/order.sh arm|run|hold|stop|rest|release|clear [--confirm]
extras=""
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli order "$@"
