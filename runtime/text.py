"""The text process: encodes a new instruction on the CPU, once, into the cache. torch is loaded only for that.

While it works the arms hold: no chunk of the new instruction exists yet.
"""

from pathlib import Path

from runtime import wire
from runtime.clock import now_ns
from runtime.instructions import EmbeddingCache
from runtime.policy import policy_id
from runtime.process import Process, log

_REPEAT_S = 0.2


def main(process: Process) -> None:
    """Answer each new instruction with an Embedding, and repeat the newest at 5 Hz."""
    instructions = process.bus.subscriber("instruction", newest=True)
    embeddings = process.publisher("embedding")
    cache = EmbeddingCache()
    policy = policy_id(process.settings)
    current: tuple[int, str] | None = None
    count = 0
    while process.running:
        process.bus.wait(_REPEAT_S)
        for received in instructions.take():
            message = received.message
            assert isinstance(message, wire.Instruction)
            if current is None or message.number != current[0]:
                key = cache.key(message.text, policy)
                if not cache.path(key).exists():
                    _encode(process, cache.make_room(key), message.text)
                current = (message.number, key)
        if current is not None:
            stamp_ns = now_ns()
            embeddings.send(
                wire.Embedding(
                    seq=count, epoch=process.epoch, stamp_ns=stamp_ns, instruction=current[0], key=current[1]
                )
            )
            count += 1
        process.stepped()


def _encode(process: Process, path: Path, text: str) -> None:
    """Encode one text into a file of the cache."""
    from models.checkpoint import save_embedding
    from runtime.networks import open_checkpoint, prepare_torch

    log.info("encoding %r", text)
    prepare_torch(process.settings.system2)
    save_embedding(path, open_checkpoint(process.settings).instructor().encode(text))
