#!/usr/bin/env bash
# Trains the shipped policy `small` anew: ./models/shipped/train.sh DIR. Everything follows from seed 0 (the default) and DIR's
# data; a line that was stopped goes on where it was. Two CPU cores take a night and a morning. With a GPU the
# networks learn there; the demonstrations are made and prepared on the cores as before.
#
# The flags of `shape` are those of the policy that lies here: `small` has learnt since to tell places and steps of a window apart
# and to hear every condition token, by what tells scenes apart in it. Those of `plain` leave out what training has learnt since:
# the dropout of inputs, pictures that are black or changed by more than a tenth of their brightness and contrast, perturbed
# prefixes, and the loss of the tokens alone. Prepared features are stored more exactly, and joints are sampled later than
# pictures and conditions a little older now, so what comes out is alike, not the same bytes.
set -euo pipefail
out=$(realpath -m "${1:?usage: models/shipped/train.sh DIR}")
cd "$(dirname "$0")/../.."
data=$out/demonstrations/first more=$out/demonstrations/more   # a training goes on with the demonstrations it began with only
shape=(--policy.spatial_former.positions summed --policy.motion_former.positions summed --policy.head.guess_tokens 0
  --policy.spatial_former.scaled false --policy.motion_former.scaled false)
./launch/demos.sh --task all --episodes 200 --out "$data"
./launch/demos.sh --task container_place,empty_cup_place,pick_apple_messy --episodes 100 --seed 500000 --after-failure --out "$data"
plain=(--steps 12000 --cloning.early_share 0 --cloning.noise_share 0
  --cloning.language_dropout 0 --cloning.picture_dropout 0 --cloning.state_dropout 0
  --cloning.augmentation.share 1 --cloning.augmentation.contrast .1 --cloning.augmentation.offset .05   # that alone
  --cloning.augmentation.gain "[1, 1]" --cloning.augmentation.gamma "[1, 1]" --cloning.augmentation.hue_deg 0
  --cloning.augmentation.grey 0 --cloning.augmentation.noise 0 --cloning.augmentation.shift_px 0
  --cloning.prefixes.share 0 --cloning.black_share 0 --cloning.one_black_share 0 --cloning.token_loss 0)
if .venv/bin/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then   # the same batch in one process
  plain+=(--processes 1 --cloning.samples 96 --schedule.loaders 4)
else
  plain+=(--processes 2)
fi
./launch/train.sh video --data "$data" --out "$out/video" --cache "$out/cache" --steps 3000 --autoencoder-steps 2000
./launch/train.sh action --data "$data" --video "$out/video/checkpoint" --out "$out/action" --cache "$out/cache" \
  "${plain[@]}" "${shape[@]}"
# More of what it failed at most, and as many steps again.
./launch/demos.sh --task dual_bottles_pick_hard,block_handover,empty_cup_place --episodes 100 --seed 100000 --out "$more"
./launch/train.sh action --data "$out/demonstrations" --from "$out/action/checkpoint" --out "$out/further" --cache "$out/cache" \
  "${plain[@]}" --schedule.learning_rate 5e-4
./launch/evaluate.sh --policy.checkpoint "$out/further/checkpoint" --json "$out/evaluation.json"
