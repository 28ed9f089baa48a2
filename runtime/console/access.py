"""Where the page is, and by which encryption."""

import socket
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


def check(settings: Settings) -> None:
    """That the page can be served as the settings say. Raises SettingsError."""
    encryption(settings)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as one:
            one.bind(address)
    except OSError as error:
        raise SettingsError(
            f"--console.host {settings.host}: {error.strerror}; give an address of this machine, or 0.0.0.0 for all"
        ) from None


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
