"""Where the page is, and by which encryption."""

import ssl
from pathlib import Path

from runtime.config import Console as Settings
from runtime.errors import SettingsError

CERTIFICATE, KEY = "certificate.pem", "key.pem"
"""What certificate.sh writes into its folder."""


def url(settings: Settings, port: int) -> str:
    """What a browser is to open."""
    token = f"?token={settings.token}" if settings.token else ""
    return f"http{'s' if settings.certificate else ''}://{settings.host}:{port}/{token}"


def encryption(settings: Settings) -> ssl.SSLContext | None:
    """TLS with the certificate of the settings. Raises SettingsError."""
    folder: Path | None = settings.certificate
    if folder is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"--console.certificate {folder}: {error}; make one with ./launch/certificate.sh {folder}"
        ) from None
    return context
