"""System 1 of a policy that runs on a server: protocols.FastPolicy over a websocket, by openpi's protocol.
Made by opening.py. What it cannot give it says as NoChunk; the arms then hold by the usual rule.

Each chunk is asked for with the pictures of its observation, so its age is theirs, and its duration the round trip.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.requirements import Requirements
from runtime.config.policy import policy_needs
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault
from runtime.messaging import openpi
from runtime.messaging.array_field import Array
from runtime.policy import server_metadata, server_reply, units
from runtime.policy.protocols import EncodedInstruction, NoChunk, Observation, Picture, SetKey
from runtime.policy.server_door import Door
from runtime.policy.server_link import ServerLink

_KEPT_SETS = 4  # of pictures; a chunk asks for the newest alone
_FIRST_S = 5.0  # for the first connection; chosen: as long as one may take (server_door.py)


def _nobody(_text: str) -> None:
    """A `report` for whoever reads the reasons elsewhere."""


class RemotePolicy:
    """A policy server's policy. `close` ends its connection."""

    weights = 0

    def __init__(self, settings: Settings, report: Callable[[str], None] = _nobody) -> None:
        """`settings`: completed by what the server says. `report`: is given each reason for no chunk, and "" for a chunk.

        Raises RuntimeFault for a token or certificate that cannot be read.
        """
        self._settings, self._report, self._wire = settings, report, settings.policy.wire
        self.needs = policy_needs(settings)
        share = self._wire.grippers == "share"
        self._units = Requirements(
            target_frame=self._wire.frame or "absolute",
            gripper_open_m=settings.safety.high[-1] - settings.safety.low[-1] if share else None,
        )
        self._keys = self._wire.cameras.by_camera()
        self._sets: dict[SetKey, tuple[NDArray[np.uint8], ...]] = {}
        self._said_short, self._reply_s = False, self._wire.reply_s
        self._said: dict[str, str] = {}  # by the server, when it was first reached
        self._link = ServerLink(Door.of(settings), self._wire.silent_s, self._mismatch)
        self._link.wait(_FIRST_S)

    def has_images(self, key: SetKey) -> bool:
        return key in self._sets

    def prepare_images(self, pictures: tuple[Picture, ...]) -> object:
        """Each picture as openpi's ALOHA clients send it: (3, height, width), in the size that the server wants."""
        return tuple(np.ascontiguousarray(self._sized(picture).transpose(2, 0, 1)) for picture in pictures)

    def encode_images(self, key: SetKey, prepared: Any) -> None:
        self._sets[key] = prepared
        while len(self._sets) > _KEPT_SETS:
            del self._sets[next(iter(self._sets))]

    def clear(self) -> None:
        """Forget all pictures, and begin a new connection, which is a new episode to the server."""
        self._sets.clear()
        self._link.renew()
        self._link.wait(_FIRST_S)

    def instruct(self, instruction: EncodedInstruction) -> None:
        """Nothing: the text goes with each observation."""

    def foresee(self, conditions: Mapping[str, Array]) -> None:
        """Nothing: there are no conditions."""

    def predict_chunk(self, observation: Observation) -> NDArray[np.float32]:
        try:
            chunk = self._chunk(observation)
        except NoChunk as error:
            why = f"{self._settings.policy.server}: {error}"
            self._report(why)
            raise type(error)(why) from None
        self._report(self._short(chunk))
        return chunk

    def close(self) -> None:
        """End the connection."""
        self._link.close()

    def _chunk(self, observation: Observation) -> NDArray[np.float32]:
        packet: dict[str, Any] = {
            "images": dict(zip(self._keys.values(), self._sets[observation.sets[-1]], strict=True)),
            "state": units.state_to_policy(self._units, observation.q).astype(np.float32),
            "prompt": str(observation.instruction),
        }
        if self._wire.prefix and len(observation.prefix):
            prefix = units.targets_to_policy(self._units, observation.prefix, observation.q)
            packet["prefix"] = prefix.astype(np.float32)
        reply = self._link.ask(openpi.packed(packet), self._reply_s)
        return server_reply.read(reply, self._units, observation.q, self._settings)

    def _mismatch(self, metadata: Any) -> str:
        """What is wrong with the metadata of a new connection; empty: it is the policy that the run began with.

        A server that says something else than at first, or no longer says it, is another one: what it needs is not known.
        """
        try:
            known = server_metadata.read(metadata)
        except RuntimeFault as error:
            return str(error)
        if wrong := server_metadata.disagreement(self._wire, known):
            return wrong
        now = server_metadata.identity(metadata)
        self._said = self._said or now
        return server_metadata.change(self._said, now)

    def _sized(self, picture: Picture) -> NDArray[np.uint8]:
        if self._wire.pictures in (None, "camera"):
            return picture
        width, height = map(int, self._wire.pictures.split("x"))
        return within_bars(picture, width, height)

    def _short(self, chunk: NDArray[np.float32]) -> str:
        """That chunks end before the next one can come; said once, since the server's length decides, not this run's luck."""
        lasts_s, period_s = len(chunk) * self.needs.dt_s, self._settings.system1.first_period_s
        if self._said_short or lasts_s > period_s:
            return ""
        self._said_short = True
        return (
            f"{self._settings.policy.server}: its chunks of {len(chunk)} targets last {lasts_s:.2f} s, shorter than "
            f"--system1.period_s {period_s:g}: the arms stop in between; give a shorter period"
        )


def within_bars(picture: Picture, width: int, height: int) -> NDArray[np.uint8]:
    """A picture as large as fits into (height, width, 3), centred, black around it: what openpi's clients send.

    One that has this size already is given back as it is.
    """
    if picture.shape[:2] == (height, width):
        return picture
    share = min(width / picture.shape[1], height / picture.shape[0])
    across, down = max(1, int(picture.shape[1] * share)), max(1, int(picture.shape[0] * share))
    small = np.asarray(Image.fromarray(picture).resize((across, down), Image.Resampling.BILINEAR))
    left, top = (width - across) // 2, (height - down) // 2
    whole = np.zeros((height, width, 3), np.uint8)
    whole[top : top + down, left : left + across] = small
    return whole
