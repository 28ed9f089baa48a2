"""Run by real_lerobot_server.sh within lerobot's environment: makes small policies, and computes what they should answer.

`make FOLDER`: act and diffusion with random weights, by lerobot itself. `compare CHECKPOINT FILE`:
lerobot's own control loop gives, target by target, the chunks that a client got from the server.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from runtime.lerobot import checkpoint, contract, torchvision_operators

torchvision_operators.name_missing()
import torch  # noqa: E402
from lerobot.configs.types import FeatureType, PolicyFeature  # noqa: E402  # pyright: ignore[reportMissingImports]
from lerobot.policies.factory import (  # noqa: E402  # pyright: ignore[reportMissingImports]
    get_policy_class,
    make_policy_config,
    make_pre_post_processors,
)
from lerobot.policies.utils import prepare_observation_for_inference  # noqa: E402  # pyright: ignore[reportMissingImports]
from safetensors.torch import save_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from tokenizers.models import WordLevel  # noqa: E402
from tokenizers.pre_tokenizers import Whitespace  # noqa: E402
from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: E402

JOINTS, HEIGHT, WIDTH = 14, 96, 128
ALOHA = ("cam_high", "cam_left_wrist", "cam_right_wrist")
LOWEST = np.array([-2.6, 0.0, -2.9, -1.7, -1.2, -2.0, 0.0] * 2, np.float32)
HIGHEST = np.array([2.6, 3.1, 0.0, 1.7, 1.2, 2.0, 0.08] * 2, np.float32)
MIDDLE = np.array([-0.3, 1.05, -1.35, 0.0, 1.15, 0.0, 0.06, 0.3, 1.05, -1.35, 0.0, 1.15, 0.0, 0.06], np.float32)
SMALL: dict[str, dict[str, Any]] = {
    "act": {"dim_model": 64, "n_heads": 4, "dim_feedforward": 128, "n_encoder_layers": 2, "n_vae_encoder_layers": 1,
            "chunk_size": 50, "n_action_steps": 50, "pretrained_backbone_weights": None},
    "diffusion": {"down_dims": (32, 64), "horizon": 32, "n_action_steps": 24, "num_train_timesteps": 20,
                  "noise_scheduler_type": "DDIM", "num_inference_steps": 5, "spatial_softmax_num_keypoints": 8},
}  # fmt: skip


def features(cameras: tuple[str, ...], joints: int = JOINTS) -> dict[str, Any]:
    """What a policy for this robot takes and gives, as lerobot describes it."""
    seen = {f"observation.images.{name}": PolicyFeature(FeatureType.VISUAL, (3, HEIGHT, WIDTH)) for name in cameras}
    state = {"observation.state": PolicyFeature(FeatureType.STATE, (joints,))}
    return {"input_features": state | seen, "output_features": {"action": PolicyFeature(FeatureType.ACTION, (joints,))}}


def statistics(cameras: tuple[str, ...], scale: float = 1.0) -> dict[str, dict[str, Any]]:
    """As those of a data set: `scale` of the joints."""
    vectors = {"mean": MIDDLE, "std": np.full(JOINTS, 0.02, np.float32), "min": LOWEST, "max": HIGHEST}
    joints = {name: torch.tensor(value) * scale for name, value in vectors.items()}
    colours = {"mean": 0.4, "std": 0.25, "min": 0.0, "max": 1.0}
    picture = {name: torch.full((3, 1, 1), value) for name, value in colours.items()}
    return {
        "observation.state": joints,
        "action": joints,
        **{f"observation.images.{name}": picture for name in cameras},
    }


def save(kind: str, folder: Path, cameras: tuple[str, ...] = ALOHA, scale: float = 1.0, **settings: Any) -> None:
    """A policy with random weights, and its processors, as lerobot saves them."""
    torch.manual_seed(1)
    config = make_policy_config(kind, device="cpu", **features(cameras), **settings)
    get_policy_class(kind)(config).save_pretrained(folder)
    for one in make_pre_post_processors(config, dataset_stats=statistics(cameras, scale)):
        one.save_pretrained(folder)


def make(folder: Path) -> None:
    """All checkpoints of the test."""
    for kind, settings in SMALL.items():
        save(kind, folder / kind, **settings)
    save("act", folder / "other_cameras", ("top", "cam_left_wrist", "wrist_r"), **SMALL["act"])
    save("act", folder / "degrees", scale=57.3, **SMALL["act"])
    print("made:", ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir())))


def compare(folder: Path, file: Path) -> None:
    """The client's chunks are what lerobot's own loop would send to the robot, observation by observation."""
    from lerobot.configs.policies import PreTrainedConfig  # pyright: ignore[reportMissingImports]

    config: Any = PreTrainedConfig.from_pretrained(folder)
    policy = get_policy_class(config.type).from_pretrained(folder)
    before, after = make_pre_post_processors(config, pretrained_path=str(folder))
    asked = np.load(file)
    for number, chunk in enumerate(asked["chunks"]):
        policy.reset()
        torch.manual_seed(0)
        found = []
        for _ in chunk:
            seen = {f"observation.images.{name}": asked[f"{name}"][number] for name in asked["cameras"]}
            seen["observation.state"] = asked["state"][number]
            batch = before(prepare_observation_for_inference(seen, torch.device("cpu"), str(asked["prompt"])))
            found.append(after(policy.select_action(batch))[0].numpy())
        np.testing.assert_allclose(chunk, np.array(found), rtol=0, atol=1e-6)
        print(f"{config.type}: {len(chunk)} targets of observation {number} are lerobot's own, "
              f"to {np.abs(chunk - np.array(found)).max():.1e} rad")  # fmt: skip


def mapping(folder: Path) -> None:
    """smolvla and pi0 on their configurations: the mapping that is served, and their pre-processors on what it makes.

    Their weights are published and not made here: no chunk is predicted, and a stand-in tokenizer takes the place of theirs.
    """
    AutoTokenizer.from_pretrained = lambda *_, **__: stand_in()  # pi0 names its tokenizer's repository in its code
    for kind in ("smolvla", "pi0"):
        config: Any = make_policy_config(kind, device="cpu", **features(("top", "cam_left_wrist", "cam_right_wrist")))
        (folder / kind).mkdir(parents=True)
        config._save_pretrained(folder / kind)
        save_file({"none": torch.zeros(1)}, folder / kind / "model.safetensors")
        before, after = make_pre_post_processors(config, dataset_stats=statistics(ALOHA))
        before.save_pretrained(folder / kind)
        after.save_pretrained(folder / kind)
        found = checkpoint.read(folder / kind, "m")
        keys = contract.cameras(found, {"top": "head"})
        said = contract.metadata(found, keys, 1 / 30, "m")
        assert said["pictures"] == "any" and said["action_horizon"] == 50, said
        seen: dict[str, Any] = {key: np.full((HEIGHT, WIDTH, 3), 51, np.uint8) for key in keys.values()}
        seen["observation.state"] = MIDDLE + 0.02
        loaded, _ = make_pre_post_processors(config, pretrained_path=str(folder / kind))
        batch = loaded(prepare_observation_for_inference(seen, torch.device("cpu"), "put the cup down"))
        np.testing.assert_allclose(batch["observation.state"], np.ones((1, JOINTS)), atol=1e-4)
        assert all(torch.allclose(batch[key], torch.tensor(0.2)) for key in keys.values())
        words = int(batch["observation.language.attention_mask"].sum())
        assert words >= 4, words
        print(
            f"{kind}: cameras {keys}, {words} tokens of the instruction, state and pictures normalised; not run: no weights"
        )


def stand_in() -> Any:
    """A tokenizer that knows the words of one instruction."""
    words = ["<pad>", "<unk>", "put", "the", "cup", "down"]
    inner = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>")


if __name__ == "__main__":
    if sys.argv[1] == "compare":
        compare(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        {"make": make, "mapping": mapping}[sys.argv[1]](Path(sys.argv[2]))
