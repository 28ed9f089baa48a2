"""The command line of `serve`. Read by runtime/cli.py before torch is loaded."""

from typing import Any

from pydantic import Field

from runtime.config.command_line import CommandLine, Flags
from runtime.config.input_paths import check_certificate, check_settings
from runtime.config.loading import profile_values, settings_of
from runtime.config.settings import Page, Settings
from runtime.errors import SettingsError

_OF_A_POLICY = ("profile", "policy", "system1", "system2", "seed")  # of the settings, what there is without a robot


class ServeFlags(Page, Flags):
    """Serve a policy to clients of openpi: observations in, chunks of joint targets out, over a websocket.

    Observations are those of openpi's ALOHA clients: images (cam_high, cam_left_wrist, cam_right_wrist), state (14 joints,
    rad and m, left arm first) and prompt. They may have a prefix: targets that are already committed. One client at a time;
    each connection is an episode. Beyond loopback a client gives the token as its api_key.
    """

    port: int = Field(default=8000, ge=0, le=65535)
    """Port; 0: any free one, which is printed."""
    every: int = Field(default=1, ge=1, le=1000)
    """System 2 runs before every N-th chunk."""


def _check(flags: ServeFlags, given: dict[str, Any]) -> None:
    for name in given:
        if name not in _OF_A_POLICY:
            raise SettingsError(f"--{name}: belongs to a robot; give --policy..., --system1..., --system2... or --seed")
    if settings_of(given).policy.server:
        raise SettingsError("--policy.server: has a policy already, and serves it; give --policy.checkpoint DIR")
    check_certificate(flags.certificate, "--certificate")
    check_settings(given)


SERVE = CommandLine(
    "serve",
    ServeFlags,
    Settings,
    ("policy.checkpoint", "system1.device", "system2.device", "seed"),
    values=profile_values,
    check=_check,
)
