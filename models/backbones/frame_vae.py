"""The VAEs' encoders for lone frames, with two-dimensional convolutions: a third of the work, the same latents.

Made by models/backbones/lean_hunyuan.py and lean_wan.py. A causal convolution over a single frame sees that frame alone: with
replicated padding (Hunyuan) in all three places of its kernel, which then acts as their sum; with zeros (Wan) only in the last.
Legend: c C channels, H W px, h w latent grid.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

Flat = Callable[[Any], nn.Module]
"""A causal convolution of diffusers as a layer of planes."""
_EPSILON = 1e-12  # of functional.normalize, by which Wan's norm divides


def hunyuan_frame_encoder(vae: Any) -> nn.Sequential:
    """HunyuanVideo's encoder for one frame, to the mean of its posterior.

    Args:
        vae: AutoencoderKLHunyuanVideo; its weights are copied, summed over time.

    Returns:
        A network (B, 3, H, W) -> (B, c, h, w) in the weights' dtype; before scaling.
    """
    encoder = vae.encoder
    layers: list[nn.Module] = [_summed(encoder.conv_in)]
    for block in encoder.down_blocks:
        layers += [_Residual(resnet, _summed) for resnet in block.resnets]
        layers += [_summed(sampler.conv) for sampler in block.downsamplers or ()]
    middle = encoder.mid_block
    layers.append(_Residual(middle.resnets[0], _summed))
    for attention, resnet in zip(middle.attentions, middle.resnets[1:], strict=True):
        layers += [attention, _Residual(resnet, _summed)]  # without the mask over time, of which there is none
    layers += [encoder.conv_norm_out, nn.SiLU(), _summed(encoder.conv_out), _mean_of(vae.quant_conv)]
    return nn.Sequential(*layers)


def wan_frame_encoder(vae: Any) -> nn.Sequential:
    """Wan2.2's encoder for one frame, to the mean of its posterior.

    Args:
        vae: AutoencoderKLWan with residual blocks; its weights are copied, of each kernel the last place in time.

    Returns:
        A network (B, 3, H, W) -> (B, c, h, w) in the weights' dtype; before its mean and spread are taken away.
    """
    encoder = vae.encoder
    layers: list[nn.Module] = [_Patches(vae.config.patch_size), _last(encoder.conv_in)]
    for block in encoder.down_blocks:
        layers.append(_Down(block))
    middle = encoder.mid_block
    layers.append(_Residual(middle.resnets[0], _last))
    for attention, resnet in zip(middle.attentions, middle.resnets[1:], strict=True):
        layers += [_WithoutTime(attention), _Residual(resnet, _last)]
    layers += [_norm(encoder.norm_out), nn.SiLU(), _last(encoder.conv_out), _mean_of(vae.quant_conv)]
    return nn.Sequential(*layers)


def _summed(causal: Any) -> nn.Conv2d:
    """Of Hunyuan's causal convolution, whose padding repeats the outermost values."""
    kernel = causal.conv.weight
    exact = torch.promote_types(kernel.dtype, torch.float32)
    return _plane(causal.conv, kernel.to(exact).sum(2).to(kernel.dtype), kernel.shape[-1] // 2, "replicate")


def _last(causal: Any) -> nn.Conv2d:
    """Of Wan's causal convolution, whose padding is zeros."""
    return _plane(causal, causal.weight[:, :, -1], causal.weight.shape[-1] // 2, "zeros")


def _mean_of(moments: Any) -> nn.Conv2d:
    """The half of the last layer, a convolution of one place, that gives the posterior's mean."""
    half = len(moments.weight) // 2
    flat = _plane(moments, moments.weight[:, :, -1], 0, "zeros")
    flat.out_channels, flat.weight = half, nn.Parameter(flat.weight[:half].clone(), requires_grad=False)
    flat.bias = nn.Parameter(moments.bias[:half].clone(), requires_grad=False)
    return flat


def _plane(of: nn.Conv3d, kernel: torch.Tensor, padding: int, mode: Literal["replicate", "zeros"]) -> nn.Conv2d:
    (rows, columns), (_, down, across) = kernel.shape[2:], of.stride
    with torch.device("meta"):
        flat = nn.Conv2d(
            of.in_channels, of.out_channels, (rows, columns), (down, across), padding=padding, padding_mode=mode
        )
    flat.weight = nn.Parameter(kernel.detach().contiguous().clone(), requires_grad=False)
    assert of.bias is not None
    flat.bias = nn.Parameter(of.bias.detach().clone(), requires_grad=False)
    return flat


def _norm(of: Any) -> nn.Module:
    """Hunyuan's GroupNorm as it is, Wan's norm over channels as one of planes."""
    return of if isinstance(of, nn.GroupNorm) else _ChannelNorm(of)


class _ChannelNorm(nn.Module):
    """Wan's norm: each place's channels brought to length sqrt(C), times a weight a channel; in at least float32."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(of.gamma.detach().reshape(-1, 1, 1) * of.scale, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B, C, H, W) to the same shape and dtype."""
        exact = torch.promote_types(x.dtype, torch.float32)
        return functional.normalize(x.to(exact), dim=1, eps=_EPSILON).to(x.dtype) * self.weight


class _Residual(nn.Module):
    """A residual block of either VAE on planes."""

    def __init__(self, of: Any, flat: Flat) -> None:
        super().__init__()
        shortcut = of.conv_shortcut
        self.norms = nn.ModuleList([_norm(of.norm1), _norm(of.norm2)])
        self.convolutions = nn.ModuleList([flat(of.conv1), flat(of.conv2)])
        self.shortcut = nn.Identity() if shortcut is None or isinstance(shortcut, nn.Identity) else flat(shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> the same, or as many channels as its convolutions give."""
        found = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            found = convolution(functional.silu(norm(found)))
        return self.shortcut(x) + found


class _Down(nn.Module):
    """A residual block of Wan's that halves the plane; over time it would halve too, but a lone frame stays one."""

    def __init__(self, of: Any) -> None:
        super().__init__()
        self.residuals = nn.Sequential(*(_Residual(resnet, _last) for resnet in of.resnets))
        self.halve = of.downsampler.resample if of.downsampler is not None else nn.Identity()
        self.average = _WithoutTime(of.avg_shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C', H / 2, W / 2), or as large where it does not halve."""
        return self.halve(self.residuals(x)) + self.average(x)


class _WithoutTime(nn.Module):
    """A layer of diffusers' on videos, for planes."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output for the only frame."""
        return self.layer(x.unsqueeze(2)).squeeze(2)


class _Patches(nn.Module):
    """Wan2.2's patches of pixels as channels, in diffusers' order: channel, column, row."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C * side^2, H / side, W / side)."""
        rows = x.unflatten(3, (-1, self.side)).unflatten(2, (-1, self.side))  # B C h s w s
        return rows.permute(0, 1, 5, 3, 2, 4).flatten(1, 3)
