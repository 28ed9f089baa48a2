"""Opens what System 1 runs on: a checkpoint's networks, or a server's policy. Called by system1.py, evaluation and `serve`.

Each is imported only where it is wanted: torch takes seconds, and a server's policy does without.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from runtime.config.policy import policy_id
from runtime.config.settings import Settings
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.policy.protocols import EncodedInstruction, FastPolicy, SlowPolicy
from runtime.process.base import OnChange, Process


@dataclass(frozen=True)
class OpenedFast:
    """System 1's side of a policy, ready to run."""

    fast: FastPolicy
    checkpoint_id: str
    embeddings: Callable[[str], EncodedInstruction]
    """Encoded instructions by key; not asked where the policy reads texts."""


@contextmanager
def fast_policy(process: Process) -> Generator[OpenedFast]:
    """The policy of the settings for System 1's process, which leaves for the session by what it is computed.

    Raises:
        RuntimeFault: It cannot be loaded, or this robot does not fit it.
    """
    settings = process.settings
    if settings.policy.server:
        from runtime.policy.remote_policy import RemotePolicy

        remote = RemotePolicy(settings, OnChange(lambda text: process.fault("policy", text)))
        try:
            yield OpenedFast(remote, policy_id(settings), _no_embedding)
        finally:
            remote.close()
        return
    from runtime.policy import arithmetic
    from runtime.policy.networks import Embeddings, fast_system, open_checkpoint, prepare_torch

    prepare_torch(settings.system1)
    checkpoint = open_checkpoint(settings)
    fast = fast_system(settings, checkpoint)
    arithmetic.keep(process, settings.system1, checkpoint)
    yield OpenedFast(fast, checkpoint.id, Embeddings(EmbeddingCache()))


@dataclass(frozen=True)
class Policy:
    """Both systems of a policy, ready to run."""

    slow: SlowPolicy
    fast: FastPolicy
    checkpoint_id: str
    instruct: Callable[[str], EncodedInstruction]


def open_policy(settings: Settings) -> Policy:
    """Both systems of the settings' policy; torch is prepared as System 1's process does. Raises RuntimeFault."""
    if settings.policy.server:
        from runtime.policy.patient_policy import NoSlowPolicy, PatientPolicy

        remote = PatientPolicy(settings)
        return Policy(NoSlowPolicy(remote.needs), remote, policy_id(settings), lambda text: text)
    from runtime.policy.networks import fast_system, open_checkpoint, prepare_torch, slow_system, text_encoder

    prepare_torch(settings.system1)
    checkpoint = open_checkpoint(settings)
    instruct = lru_cache(maxsize=64)(text_encoder(checkpoint))
    return Policy(slow_system(settings, checkpoint), fast_system(settings, checkpoint), checkpoint.id, instruct)


def _no_embedding(key: str) -> EncodedInstruction:
    raise KeyError(f"{key}: a server's policy reads texts")
