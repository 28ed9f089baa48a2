"""Encodes instructions into the cache, so that the robot need not: the command `instruct.sh TEXT...`.
Called by runtime/cli.py, and as a child by the text process, whose memory ends with it.

The text encoders of the full size need tens of gigabytes; they live only as long as this takes, never beside a robot.
"""

import sys
from pathlib import Path

from models.errors import ModelError
from runtime.config.loading import settings_from_json, settings_of
from runtime.config.policy import encoder_id
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault
from runtime.host.next_step import say_next
from runtime.host.terminal import say
from runtime.policy.embedding_cache import EmbeddingCache
from runtime.policy.flags import INSTRUCT


def encode(settings: Settings, texts: list[str], cache: EmbeddingCache) -> list[Path]:
    """Encode texts under the policy of the settings, those that the cache lacks.

    Args:
        settings: Name the policy, and System 2's device settings.
        texts: Instructions as people say them.
        cache: Where the files go.

    Returns:
        The cache's files, one a text.

    Raises:
        RuntimeFault: The encoders cannot be loaded, or no folder can be written.
    """
    encoder = encoder_id(settings)
    keys = [cache.key(text, encoder) for text in texts]
    if not all(cache.path(key).exists() for key in keys):
        from models.embedding_file import save_embedding
        from runtime.policy.networks import open_checkpoint, prepare_torch

        prepare_torch(settings.system2)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if not cache.path(key).exists()}
        try:
            made = open_checkpoint(settings).instructor().encode(list(missing.values()))
        except ModelError as error:
            raise RuntimeFault(str(error)) from None
        for key, embedding in zip(missing, made, strict=True):
            save_embedding(cache.make_room(key), embedding)
        if cache.note:
            say(f"video2act: {cache.note}")
    return [cache.path(key) for key in keys]


def main(arguments: list[str]) -> int:
    """Encode the texts of the line and print the file of each. Called by runtime/cli.py; returns 0."""
    options, given = INSTRUCT.read(arguments)
    texts = list(options.texts)
    for text, path in zip(texts, encode(settings_of(given), texts, EmbeddingCache()), strict=True):
        say(f"{path}  {text}")
    say_next(
        "run the robot with it",
        "robot",
        *INSTRUCT.tree_words(arguments, but=("instruction",)),
        "--instruction",
        texts[0],
    )
    return 0


if __name__ == "__main__":
    from runtime.process.base import RunFile

    encode(settings_from_json(RunFile.load(Path(sys.argv[1])).settings), sys.argv[2:], EmbeddingCache())
