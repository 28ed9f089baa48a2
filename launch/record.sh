#!/usr/bin/env bash
# Record demonstrations by leader and follower arms: ./launch/record.sh --profile cobot_magic --task NAME --instruction "..."
extras="robot"
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli record "$@"
