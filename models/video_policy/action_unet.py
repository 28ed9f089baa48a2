"""The action network: a U-Net over a chunk's targets, conditioned by FiLM (Perez et al. 2018), as in Diffusion Policy.

Made by action_sampler.py. Legend: B batch, C channels, H targets, J joints, F feature numbers,
D numbers of all conditions, M of the moment.
"""

import torch
from torch import nn

from models.layers import sinusoid
from models.video_policy.config import VideoPolicyConfig
from models.video_policy.newest import Newest, Seen

_AGE_UNIT_S = 0.01
"""What ages are embedded in. Chosen, as for Video2Act: the fastest sinusoid turns once in 63 ms, the time of two frames."""
_TIME_RATIO = 4  # of the hidden layer that embeds the noise level (Diffusion Policy)


class _Block(nn.Module):
    """Two convolutions; what is between them is scaled and moved, channel by channel, as the conditions say."""

    def __init__(self, channels: int, out: int, conditions: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.first = _convolution(channels, out, kernel, groups)
        self.film = nn.Sequential(nn.Mish(), nn.Linear(conditions, 2 * out))
        self.second = _convolution(out, out, kernel, groups)
        self.shortcut = nn.Identity() if channels == out else nn.Conv1d(channels, out, 1)

    def forward(self, x: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """(B, C, H), (B, D) -> (B, out, H)."""
        scale, shift = self.film(conditions)[..., None].chunk(2, dim=1)
        return self.second(self.first(x) * scale + shift) + self.shortcut(x)


class ActionUnet(nn.Module):
    """Reads a noisy chunk, committed targets, one denoising step's features, how old they are, and the noise level."""

    def __init__(self, config: VideoPolicyConfig) -> None:
        super().__init__()
        self.config = config
        chosen = config.action
        widths, joints = chosen.widths, chosen.joints
        time, hidden = chosen.time_width, _TIME_RATIO * chosen.time_width
        self.embed = nn.Sequential(nn.Linear(time, hidden), nn.Mish(), nn.Linear(hidden, time))
        self.age = nn.Sequential(nn.Linear(time, hidden), nn.Mish(), nn.Linear(hidden, time))
        self.newest = None if chosen.eyes is None else Newest(chosen.eyes, len(config.clip.cameras), joints)
        beside = time + (0 if self.newest is None else self.newest.width)

        def pair(channels: int, out: int) -> nn.ModuleList:
            sizes = (config.feature_width + beside, chosen.kernel, chosen.groups)
            return nn.ModuleList([_Block(channels, out, *sizes), _Block(out, out, *sizes)])

        entries = (2 * joints + 1, *widths[:-1])  # noisy, committed, and whether it is
        self.down = nn.ModuleList(pair(into, out) for into, out in zip(entries, widths, strict=True))
        self.shrink = nn.ModuleList(nn.Conv1d(width, width, 3, 2, 1) for width in widths[:-1])
        self.middle = pair(widths[-1], widths[-1])
        rising = tuple(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(pair(2 * into, out) for into, out in rising)
        self.grow = nn.ModuleList(nn.ConvTranspose1d(out, out, 4, 2, 1) for _, out in rising)
        self.last = nn.Sequential(
            _convolution(widths[0], widths[0], chosen.kernel, chosen.groups), nn.Conv1d(widths[0], joints, 1)
        )

    def moment(self, age_s: torch.Tensor, seen: Seen | None) -> torch.Tensor:
        """What all denoising steps of a chunk share: how old the features are, and what is seen now.

        Args:
            age_s: (B,) of the pictures that the clip was imagined from, s, when the newest pictures were taken.
            seen: the newest pictures and joints; not looked at by a network without eyes.

        Returns:
            (B, M), for `forward`.
        """
        dtype = next(self.parameters()).dtype
        age = self.age(sinusoid(age_s / _AGE_UNIT_S, self.config.action.time_width).to(dtype))
        if self.newest is None:
            return age
        assert seen is not None, "a network with eyes is shown pictures"
        return torch.cat([age, self.newest(seen)], dim=1)

    def forward(
        self,
        noisy: torch.Tensor,
        noise: torch.Tensor,
        features: torch.Tensor,
        moment: torch.Tensor,
        prefix: torch.Tensor,
        committed: torch.Tensor,
    ) -> torch.Tensor:
        """The network alone, without EDM's factors.

        Args:
            noisy: (B, H, J) the scaled noisy chunk.
            noise: (B,) float32, the noise level as `Scalings.noise`.
            features: (B, F) of the same level, from the adapter.
            moment: (B, M), of `moment`.
            prefix: (B, H, J) the committed targets in their places; the others are not looked at.
            committed: (B, H) bool, which targets are.

        Returns:
            (B, H, J).
        """
        fixed = committed[..., None]
        x = torch.cat([noisy.masked_fill(fixed, 0), prefix.masked_fill(~fixed, 0), fixed.to(noisy.dtype)], dim=2)
        width = self.config.action.time_width
        time = self.embed(sinusoid(noise, width).to(noisy.dtype)) + moment[:, :width]
        conditions = torch.cat([features.to(noisy.dtype), time, moment[:, width:]], dim=1)
        return self._unet(x.transpose(1, 2), conditions).transpose(1, 2)

    def _unet(self, x: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        """(B, 2 J + 1, H), (B, D) -> (B, J, H)."""
        skipped: list[torch.Tensor] = []
        for place, pair in enumerate(self.down):
            x = _through(pair, x, conditions)
            skipped.append(x)
            x = self.shrink[place](x) if place < len(self.shrink) else x
        x = _through(self.middle, x, conditions)
        for pair, grow in zip(self.up, self.grow, strict=True):
            x = grow(_through(pair, torch.cat([x, skipped.pop()], dim=1), conditions))
        return self.last(x)


def _through(pair: nn.Module, x: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
    for block in pair.children():
        x = block(x, conditions)
    return x


def _convolution(channels: int, out: int, kernel: int, groups: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(channels, out, kernel, padding=kernel // 2), nn.GroupNorm(groups, out), nn.Mish())
