"""What a session file holds: one MCAP per session.
Used by the writer and reader of sessions, and by whoever looks for their files.

* every message once, as the raw msgpack that was on the bus (channel = topic; the source for replay);
* cameras as protobuf foxglove.CompressedImage on /camera/NAME, sequence = frame number;
* joints, states and events as small channels that Foxglove and Rerun read;
* encoded instructions as attachments; settings, revision, schema and time base as metadata.
"""

import hashlib
import json

from runtime.messaging import messages

FILE_NAME = "session.mcap"
SUMMARY_NAME = "summary.json"
LARGEST_PICTURE_BYTES = 16 << 20
"""Of a PNG beside a session, as whoever reads it allows. Chosen: twice an uncompressed picture of 1920x1080."""
ORIGIN = "what_if_of"  # in metadata and summary: the session that this one is a variant of
METADATA_NAME = "video2act"
CHUNK_BYTES = 64 * 1024
"""Measured: LZ4 in chunks of 64 KiB takes 1.7 % of a core, and at most one is lost when the recorder is killed."""
RAW_ENCODING = "msgpack"
IMAGE_PREFIX = "/camera/"
EMBEDDING_SUFFIX = ".safetensors"


def schema_hash() -> str:
    """Hash of all message definitions: tells whether two programs speak the same wire."""
    fields = {
        name: [(field, str(info.annotation), repr(info.metadata)) for field, info in kind.model_fields.items()]
        for name, kind in sorted(messages.MESSAGES.items())
    }
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
