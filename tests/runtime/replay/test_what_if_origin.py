"""Where a what-if begins: what a session holds, and what it may have lost. Called by pytest; pure."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from runtime.config.loading import load_settings
from runtime.errors import SessionError
from runtime.messaging import messages
from runtime.replay.index import Missing
from runtime.replay.what_if import Origin


def test_an_instruction_that_a_damaged_session_lost_is_encoded_anew(build: Callable[..., Any]) -> None:
    arrived = {
        ("chunk", 1, 0): build(messages.ActionChunk, checkpoint_id="the same"),
        ("instruction", 1, 0): build(messages.Instruction, number=1, text="hand it over"),
        ("embedding", 1, 0): build(messages.Embedding, instruction=1, key="kept"),
        ("embedding", 1, 1): build(messages.Embedding, instruction=1, key="lost"),
    }
    index: Any = SimpleNamespace(messages=arrived, session=SimpleNamespace(path="here"))
    policy: Any = SimpleNamespace(checkpoint_id="the same", instruct=lambda text: f"anew: {text}")

    def stored(key: str) -> Any:
        if key != "kept":
            raise Missing(key)
        return "as it was"

    found: Callable[[str], Any] = Origin(index, load_settings([])).embeddings(stored, policy)
    assert (found("kept"), found("lost")) == ("as it was", "anew: hand it over")
    with pytest.raises(SessionError, match="here: text of instruction gone is missing"):
        found("gone")
