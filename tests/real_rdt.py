"""Makes numbers with RDT's own classes at random weights: its norm, one denoising step and a chunk. Called by real_rdt.sh.

Runs in an environment of RDT's releases, with its repository on the path. Sizes are the tiny policy's of the model tests.
"""

import sys
from typing import Any

import diffusers
import timm  # pyright: ignore[reportMissingImports]
import torch
from models.rdt_runner import RDTRunner  # pyright: ignore  # RDT's own `models`
from safetensors.torch import save_file
from timm.models.vision_transformer import RmsNorm  # pyright: ignore[reportMissingImports]

COMMAND = "tests/real_rdt.sh"
PLACES = (11, 12, 13, 14, 15, 16, 18, 0, 1, 2, 3, 4, 5, 7)
ACTION, WIDTH, DEPTH, HEADS, HORIZON, MOST_WORDS, WORDS = 20, 32, 3, 4, 8, 12, 7
LANGUAGE, IMAGE, IMAGES = 16, 32, 2 * 3 * 4  # widths; tokens of two sets of three pictures
TIME, RATE_HZ, SEED = 600, 30, 5


def runner() -> Any:
    """RDT with every weight drawn, those too that it begins at zero or one; means are not zero, so that centring would show."""
    noise = {
        "num_train_timesteps": 1000, "num_inference_timesteps": 5, "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "sample", "clip_sample": False,
    }  # fmt: skip
    adaptors = {"lang_adaptor": "mlp2x_gelu", "img_adaptor": "mlp2x_gelu", "state_adaptor": "mlp3x_gelu"}
    rdt = {"hidden_size": WIDTH, "depth": DEPTH, "num_heads": HEADS}
    made = RDTRunner(
        action_dim=ACTION, pred_horizon=HORIZON, config={"rdt": rdt, "noise_scheduler": noise, **adaptors},
        lang_token_dim=LANGUAGE, img_token_dim=IMAGE, state_token_dim=ACTION, max_lang_cond_len=MOST_WORDS,
        img_cond_len=IMAGES, dtype=torch.float32,
    ).eval()  # fmt: skip
    for name, weight in made.named_parameters():
        drawn = torch.randn_like(weight)
        norm = name.endswith("weight") and weight.ndim == 1
        added = 0.3 * drawn + 0.2  # biases and positions
        weight.data.copy_(1 + 0.1 * drawn if norm else drawn * weight.shape[-1] ** -0.5 if weight.ndim == 2 else added)
    return made


def policy(kept: dict[str, torch.Tensor]) -> None:
    """A step, and a chunk from its own sampler; weights under `rdt.`."""
    made = runner()
    kept |= {f"rdt.{name}": weight.detach() for name, weight in made.named_parameters()}
    language, images = torch.randn(1, WORDS, LANGUAGE), torch.randn(1, IMAGES, IMAGE)
    state, mask = torch.zeros(1, 1, ACTION), torch.zeros(1, 1, ACTION)
    state[..., PLACES], mask[..., PLACES] = torch.randn(len(PLACES)), 1
    rate, noisy, everyone = torch.tensor([RATE_HZ]), torch.randn(1, HORIZON, ACTION), torch.ones(1, WORDS) > 0
    sequence = torch.cat([torch.cat([state, noisy], 1), mask.expand(-1, 1 + HORIZON, -1)], 2)
    words, seen, tokens = made.adapt_conditions(language, images, sequence)
    step = made.model(tokens, rate, torch.tensor([TIME]), words, seen, lang_mask=everyone)
    torch.manual_seed(SEED)
    noise = torch.randn(1, HORIZON, ACTION)  # what its sampler draws first after the same seed
    torch.manual_seed(SEED)
    chunk = made.predict_action(language, everyone, images, state, mask, rate)
    kept |= {"language": language, "images": images, "state": state, "noisy": noisy, "step": step}
    kept |= {"noise": noise, "chunk": chunk}


def norms(kept: dict[str, torch.Tensor]) -> None:
    """timm's norm of vectors whose mean is not zero, large and small, in both types."""
    for width in (8, 32):
        layer = RmsNorm(width, eps=1e-6)
        layer.weight.data.copy_(1 + 0.1 * torch.randn(width))
        x = (torch.randn(6, width) + 0.7) * torch.tensor([1e-4, 1e-2, 1.0, 1.0, 10.0, 1e3])[:, None]
        for dtype in (torch.float32, torch.bfloat16):
            name = f"norm.{width}.{str(dtype).removeprefix('torch.')}"
            layer.to(dtype)
            kept |= {f"{name}.weight": layer.weight.detach().clone(), f"{name}.x": x.to(dtype)}
            kept[f"{name}.y"] = layer(x.to(dtype))


def main(path: str) -> None:
    """Write them all, and what made them."""
    torch.manual_seed(SEED)
    kept: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        policy(kept)
        norms(kept)
    releases = {"torch": torch.__version__, "timm": timm.__version__, "diffusers": diffusers.__version__}
    save_file({name: tensor.contiguous() for name, tensor in kept.items()}, path, {"command": COMMAND, **releases})
    print(f"{path}: {len(kept)} tensors of RDT's own classes, {releases}")


if __name__ == "__main__":
    main(sys.argv[1])
