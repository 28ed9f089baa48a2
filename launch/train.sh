#!/usr/bin/env bash
# Train in two stages: ./launch/train.sh video|action --data DIR --out DIR; the same line again goes on.
case "$*" in *lora_rank*) extras="lora" ;; *) extras="" ;; esac
. "$(dirname "$0")/setup.sh"
exec "$python" -m runtime.cli train "$@"
