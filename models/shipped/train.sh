#!/usr/bin/env bash
# Trains the shipped policy `small` anew: ./models/shipped/train.sh DIR. Everything follows from seed 0 (the default) and DIR's
# data; a line that was stopped goes on where it was. Two CPU cores take a night.
set -euo pipefail
out=$(realpath -m "${1:?usage: models/shipped/train.sh DIR}")
cd "$(dirname "$0")/../.."
./launch/demos.sh --task all --episodes 200 --out "$out/demonstrations"
./launch/demos.sh --task container_place,empty_cup_place,pick_apple_messy --episodes 100 --seed 500000 --after-failure \
  --out "$out/demonstrations"
./launch/train.sh video --data "$out/demonstrations" --out "$out/video" --cache "$out/cache" --steps 3000 --autoencoder-steps 2000
./launch/train.sh action --data "$out/demonstrations" --video "$out/video/checkpoint" --out "$out/action" --cache "$out/cache" \
  --steps 12000 --processes 2
./launch/evaluate.sh --policy.checkpoint "$out/action/checkpoint" --json "$out/evaluation.json"
