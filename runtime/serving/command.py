"""The command `serve`: a policy for clients of openpi. Called by runtime/cli.py."""

import asyncio
import logging
from typing import Any

import uvloop

from models.config.policy import JOINT_LAYOUT
from runtime.config.loading import settings_of
from runtime.config.settings import LOOPBACK, Settings
from runtime.console import access
from runtime.errors import RuntimeFault
from runtime.host.shutdown import Ending
from runtime.host.terminal import say
from runtime.policy.opening import Policy, open_policy
from runtime.serving.flags import SERVE, ServeFlags


def main(arguments: list[str]) -> int:
    """Serve the policy of the line until Ctrl-C or SIGTERM. Called by runtime/cli.py; returns 0."""
    options, given = SERVE.read(arguments)
    access.check_alone(options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ending = Ending()
    ending.ask_by_signals()
    settings = settings_of(given | {"ratio": options.every})
    say("video2act: loading the policy")
    policy = open_policy(settings)
    from runtime.serving.served_policy import ServedPolicy
    from runtime.serving.server import PolicyServer, serve

    server = PolicyServer(ServedPolicy(settings, policy), metadata(settings, policy), access.token(options))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(
                serve(
                    server,
                    options.host,
                    options.port,
                    access.encryption(options),
                    lambda p: _ready(options, p),
                    ending.until_asked(),
                )
            )
        except OSError as error:
            raise RuntimeFault(
                f"--port {options.port}: {error.strerror or error}; give another, or 0 for any free one"
            ) from None
    return 0


def metadata(settings: Settings, policy: Policy) -> dict[str, Any]:
    """What a client is told first: what the policy is, what it needs, and what comes out."""
    needs = policy.fast.needs
    return {
        "policy": settings.policy.checkpoint.name
        if settings.policy.checkpoint
        else f"{settings.policy.size}, untrained",
        "checkpoint": policy.checkpoint_id,
        "cameras": list(needs.cameras),
        "state": JOINT_LAYOUT,
        "action_horizon": needs.targets,
        "dt_s": needs.dt_s,
        "actions": "absolute",
        "pictures": "any",
        "system2_every": settings.ratio,
        "takes": ["prefix"],
    }


def _ready(options: ServeFlags, port: int) -> None:
    host = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "wss" if options.certificate else "ws"
    say(
        f"video2act: serving at {scheme}://{host}:{port}{'' if options.host in LOOPBACK else ', to whoever has the token'}"
    )
