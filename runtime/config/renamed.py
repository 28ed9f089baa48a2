"""Settings that were called otherwise before: the settings that an old session stored still open.

Called when the settings of a session are read.
"""

import json
from typing import Any

SETTINGS: dict[str, str] = {
    "arms.masters": "arms.leaders",
    "arms.master_interfaces": "arms.leader_interfaces",
}


def upgraded(text: str) -> str:
    """Stored settings, as JSON, under today's names; what is no tree of settings stays as it is."""
    try:
        values: Any = json.loads(text)
    except ValueError:
        return text
    for old, new in SETTINGS.items():
        group, _, name = old.partition(".")
        section = values.get(group) if isinstance(values, dict) else None
        if isinstance(section, dict) and name in section:
            section[new.partition(".")[2]] = section.pop(name)
    return json.dumps(values)
