"""The text process: has a new instruction encoded, once, into the cache.
Started by the supervisor (runtime/process/base.py). Only the child that encodes loads torch.

While it works the arms hold: no chunk of the new instruction exists yet.
"""

import subprocess
import sys

from runtime.config.policy import encoder_id
from runtime.errors import RuntimeFault
from runtime.host.clock import robot_time_ns
from runtime.messaging import messages
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.process.base import Process, log

_REPEAT_S = 0.2  # 5 Hz, as runtime/messaging/topics.py says of the topic
_POLL_S = 0.05  # chosen: the longest wait for a child that has ended; a twentieth of what its start takes


def main(process: Process) -> None:
    """Answer each new instruction with an Embedding once it is in the cache, and repeat the newest at 5 Hz."""
    instructions = process.bus.subscriber("instruction", newest=True)
    embeddings = process.publisher("embedding")
    cache = EmbeddingCache()
    encoder = encoder_id(process.settings)
    current: tuple[int, str] | None = None
    count = 0
    process.settle()
    while process.running:
        process.bus.wait(_REPEAT_S)
        for received in instructions.take():
            message = received.message
            assert isinstance(message, messages.Instruction)
            if current is None or message.number != current[0]:
                key = cache.key(message.text, encoder)
                if not cache.path(key).exists():
                    _encode(process, message.text)
                current = (message.number, key)
        if current is not None:
            stamp_ns = robot_time_ns()
            embeddings.send(
                messages.Embedding(
                    seq=count, epoch=process.epoch, stamp_ns=stamp_ns, instruction=current[0], key=current[1]
                )
            )
            count += 1
        process.stepped()


def _encode(process: Process, text: str) -> None:
    """Have one text encoded by a child, so that this process stays alive and small. Raises RuntimeFault when that fails."""
    log.info("encoding %r", text)
    child = subprocess.Popen([sys.executable, "-m", "runtime.policy.instruct", str(process.folder), text])
    while child.poll() is None:
        process.stepped()
        process.pause(_POLL_S)
        if not process.running:
            child.kill()
    if child.returncode != 0 and process.running:  # the supervisor starts this process again, later and later
        raise RuntimeFault(f"{text!r:.80} cannot be encoded; read logs/text.log of the session")
