"""Explains a session moment by moment: maps of all layers, laid onto the pictures and measured. Called by command.py."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from models.explanation import Explanation, MadeOf
from models.grad_cam import onto
from runtime.config.settings import Settings
from runtime.errors import SessionError
from runtime.explanation import figures
from runtime.explanation.layers import Layer, layers
from runtime.explanation.object_masks import ObjectMasks
from runtime.explanation.policy import ExplainedPolicy
from runtime.explanation.recorded import Frames, Inputs, Recorded
from runtime.explanation.strip import Shots, Shown, strip
from runtime.messaging import messages
from runtime.replay.index import Missing
from runtime.session.reader import Session


class ExplainedSession:
    """A session and the moments of it that are explained. Raises SessionError where there are none."""

    def __init__(self, session: Session, settings: Settings, at: Sequence[float], moments: int) -> None:
        self._recorded = Recorded(session, settings)
        self._settings = settings
        if not self._recorded.has_pictures():
            raise SessionError(f"{session.path}: holds no pictures; give a session that was recorded with them")
        self.chunks = self._recorded.chosen(at, moments)

    def run(self, policy: ExplainedPolicy, done: Callable[[], object]) -> tuple[Image.Image, figures.Explained]:
        """The strip and the figures.

        Args:
            policy: That is explained, the recorded one or another.
            done: Called after each moment.

        Raises:
            SessionError: The session lacks what a chunk was made of.
        """
        masks = ObjectMasks(self._recorded.index, self._settings)
        try:
            with tempfile.TemporaryDirectory(prefix="video2act-explain-") as folder:
                moments = list(self._moments(policy, masks, Path(folder), done))
        finally:
            masks.close()
        found = self._explained(policy, masks.why_none, [column for _, column, _ in moments])
        title = f"{found.session}: {found.task}, shift {found.shift}, seed {found.seed}; policy {found.checkpoint}"
        rows = [(layer.name, *layer.about) for layer in moments[0][0]]
        return strip(title, rows, [shots for _, _, shots in moments]), found

    def _moments(
        self, policy: ExplainedPolicy, masks: ObjectMasks, folder: Path, done: Callable[[], object]
    ) -> Iterator[tuple[list[Layer], figures.Column, Shots]]:
        """Every moment's layers, figures and pictures."""
        for chunk in self.chunks:
            at_s = self._recorded.at_s(chunk.stamp_ns)
            try:
                inputs = self._recorded.inputs(chunk)
                frames, found, before = self._explain(policy, inputs, folder)
                rows = layers(policy.config, frames, found, before)
                shown = {layer.name: self._shown(layer, masks, inputs.episode) for layer in rows}
            except Missing as error:
                where = f"{self._recorded.session.path}: {error} is missing for the chunk at {at_s:.2f} s"
                raise SessionError(f"{where}; give --at of other moments") from None
            cells = {name: one.cell for name, one in shown.items()}
            yield (
                rows,
                figures.Column(at_s, chunk.seq, found.motion_rad2, cells),
                Shots(at_s, found.motion_rad2, shown),
            )
            done()

    def _explain(
        self, policy: ExplainedPolicy, inputs: Inputs, folder: Path
    ) -> tuple[Frames, Explanation, Explanation | None]:
        """A chunk's pictures and maps, and the maps of pictures one frame older; None where one of those is lost."""
        recorded = self._recorded

        def given(frames: Frames) -> MadeOf:
            same = inputs.chunk.checkpoint_id == policy.id
            instruction = policy.embedding(recorded.session, folder, inputs.embedding, inputs.instruction.text, same)
            return recorded.made_of(inputs, frames, policy.needs, instruction)

        frames = recorded.frames(inputs, policy.slow)
        own = given(frames)
        found = policy.explainer.explain(own)
        try:
            earlier = given(recorded.earlier(frames))
        except Missing:
            return frames, found, None
        return frames, found, policy.explainer.explain(replace(earlier, age_s=own.age_s))

    def _shown(self, layer: Layer, masks: ObjectMasks, episode: messages.Episode) -> Shown:
        """A layer's best map on its picture, with its figures."""
        picture = self._recorded.picture(layer.frame)
        height, width = picture.shape[:2]
        part = layer.part(width / height)
        placed = onto(torch.from_numpy(layer.map), height, width, part).numpy()
        mask = masks.mask(layer.frame, episode)
        mask = None if mask is None or mask.shape != (height, width) else mask
        return Shown(picture, placed, mask, figures.cell(layer.map, layer.before, placed, mask))

    def _explained(self, policy: ExplainedPolicy, unknown: str, columns: Sequence[figures.Column]) -> figures.Explained:
        episode = self._recorded.inputs(self.chunks[0]).episode
        name = self._recorded.session.path.resolve().parent.name
        return figures.Explained(
            name, episode.task, self._settings.shift, episode.seed, policy.id, unknown, tuple(columns)
        )
