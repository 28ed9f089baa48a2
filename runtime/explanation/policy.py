"""The policy that a session is explained with: both systems in torch, since gradients go through them. Called by command.py."""

from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from drivers.cobot_magic import WITHOUT_GRIPPERS
from models.checkpoint import Checkpoint
from models.errors import ModelError
from models.explanation import Explainer
from models.policy import InstructionEmbedding
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault
from runtime.messaging import messages
from runtime.policy.networks import device_of, open_video2act, prepare_torch, progress, text_encoder
from runtime.policy.video2act import SlowVideo2Act
from runtime.replay.index import Missing
from runtime.replay.stored_embeddings import StoredEmbeddings
from runtime.session.reader import Session


class ExplainedPolicy:
    """An opened checkpoint. Its weights are loaded once, whatever many sessions it is to explain."""

    def __init__(self, settings: Settings) -> None:
        """Raises RuntimeFault for a policy that cannot be opened, has no System 2, or does not fit the robot."""
        prepare_torch(settings.system1)
        checkpoint = open_video2act(settings)
        where = settings.policy.checkpoint or "untrained policy"
        if not checkpoint.needs.windows or not checkpoint.config.hears_video:
            raise RuntimeFault(
                f"policy {where}: uses no video features, so there is nothing to explain; "
                "give --policy.checkpoint of one with a System 2"
            )
        self.id, self.needs, self.config = checkpoint.id, checkpoint.needs, checkpoint.config
        self._encode = lru_cache(maxsize=64)(text_encoder(checkpoint))
        with progress("policy", f"loading {where}"):
            self.explainer, self.slow = _loaded(settings, checkpoint)

    def embedding(
        self, session: Session, folder: Path, message: messages.Embedding, text: str, same: bool
    ) -> InstructionEmbedding:
        """An instruction as this policy reads it.

        Args:
            session: That holds it encoded.
            folder: Takes files.
            message: Its embedding.
            text: The instruction.
            same: Whether this is the policy that recorded the session.

        Raises:
            RuntimeFault: It must be encoded, and the text encoder's weights are not there.
        """
        found = None
        if same:
            with suppress(Missing):  # a damaged session may have lost it
                found = StoredEmbeddings(session, folder)(message.key)
        found = self._encode(text) if found is None else found
        assert isinstance(found, InstructionEmbedding)
        return found


def _loaded(settings: Settings, checkpoint: Checkpoint) -> tuple[Explainer, SlowVideo2Act]:
    (slow_at, slow_type), (fast_at, fast_type) = (
        device_of(system, checkpoint.config) for system in (settings.system2, settings.system1)
    )
    try:
        slow, fast = checkpoint.slow(slow_at, slow_type), checkpoint.fast(fast_at, fast_type)
    except ModelError as error:
        raise RuntimeFault(str(error)) from None
    return Explainer(slow, fast, WITHOUT_GRIPPERS), SlowVideo2Act(slow, checkpoint.needs)


class Policies:
    """Opened policies by the settings that choose them: sessions of one policy share it."""

    def __init__(self) -> None:
        self._opened: dict[str, ExplainedPolicy] = {}

    def opened(self, settings: Settings) -> ExplainedPolicy:
        """The policy of some settings. Raises RuntimeFault as ExplainedPolicy."""
        key = settings.model_dump_json(include={"policy", "system1", "system2", "seed"})
        if key not in self._opened:
            self._opened[key] = ExplainedPolicy(settings)
        return self._opened[key]
