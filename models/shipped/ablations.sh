#!/usr/bin/env bash
# What stands beside the shipped policy: three policies that learn alike, but for what System 1 is given, and how often each
# succeeds: ./models/shipped/ablations.sh DIR. Both filters (all), no video, and blind (neither video nor pictures). They take the
# shipped video model, learn from the same demonstrations in the same order for a sixth of the shipped policy's steps, and play
# the same 50 scenes a task, which none has seen. A line that was stopped goes on where it was. Two CPU cores take about five hours.
set -euo pipefail
out=$(realpath -m "${1:?usage: models/shipped/ablations.sh DIR}")
cd "$(dirname "$0")/../.."
plain=(--cloning.augmentation.share 1 --cloning.augmentation.contrast .1 --cloning.augmentation.offset .05
  --cloning.augmentation.gain "[1, 1]" --cloning.augmentation.gamma "[1, 1]" --cloning.augmentation.hue_deg 0
  --cloning.augmentation.grey 0 --cloning.augmentation.noise 0 --cloning.augmentation.shift_px 0
  --cloning.language_dropout 0 --cloning.picture_dropout 0 --cloning.state_dropout 0 --cloning.prefixes.share 0
  --cloning.black_share 0 --cloning.one_black_share 0 --cloning.token_loss 0
  --policy.spatial_former.scaled false --policy.motion_former.scaled false)
./launch/demos.sh --task all --episodes 200 --out "$out/demonstrations"
for inputs in all no_video blind; do
  ./launch/train.sh action --data "$out/demonstrations" --video models/shipped/small --cache "$out/cache" --out "$out/$inputs" \
    --steps 4000 --processes 2 --schedule.precision no --policy.inputs "$inputs" "${plain[@]}"
done
for inputs in all no_video blind; do
  ./launch/evaluate.sh --policy.checkpoint "$out/$inputs/checkpoint" --task all --rollouts 50 --repeats 1 --ratio 8 \
    --json "$out/$inputs.json"
done
