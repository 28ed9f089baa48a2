"""What a run is for, beyond its settings: no user sets it, our own commands do. Called by them and by every process.

It travels in the run's file beside the settings, and in a session's metadata, so that every replay sees the same.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from runtime.errors import SessionError

METADATA = "role"  # its name in a session's metadata


class Role(BaseModel):
    """What a run is for. Its defaults are those of a policy's run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recording: bool = False
    """Demonstrations are recorded: each leader arm is on its follower's bus and leads it, as the robot is wired."""
    tracks: str = ""
    """The recording whose movement leads the arms in place of a policy."""
    unfit: str = ""
    """Why the arms may not be armed: what the checks before the start found, or that demonstrations are recorded."""

    @property
    def by_policy(self) -> bool:
        """Whether a policy leads the arms: no demonstration is recorded, and no recording is followed."""
        return not self.recording and not self.tracks

    @classmethod
    def of_session(cls, metadata: Mapping[str, str]) -> "Role":
        """The role of the run that made a session; former sessions have it among their settings. Raises SessionError."""
        try:
            return cls.model_validate_json(metadata[METADATA]) if METADATA in metadata else cls._of_former(metadata)
        except (ValueError, AttributeError, RecursionError):  # pydantic's among them
            raise SessionError("the session does not say what its run was for: its metadata is damaged") from None

    @classmethod
    def _of_former(cls, metadata: Mapping[str, str]) -> "Role":
        settings = cast(dict[str, Any], json.loads(metadata.get("settings", "{}")))
        arms = cast(dict[str, Any], settings.get("arms", {}))
        return cls(
            recording=arms.get("masters") == "shared",
            tracks=settings.get("follow", ""),
            unfit=arms.get("unfit", ""),
        )


POLICY = Role()
"""The role of every run that is not of `record` or of a replay on the robot."""
