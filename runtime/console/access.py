"""Where the page is, by which encryption, and what whoever opens it must know.
Called by the console's process, the console without a robot, the replay's page and the robot command.
"""

import re
import socket
import ssl
from pathlib import Path

from cryptography import x509

from runtime.config.settings import LOOPBACK, TOKEN
from runtime.config.settings import Page as Settings
from runtime.errors import SettingsError
from runtime.host import secret_file
from runtime.host.terminal import width

CERTIFICATE, KEY, TOKEN_FILE = "certificate.pem", "key.pem", "token"
"""What certificate.sh writes into its folder."""
_EVERYWHERE = ("0.0.0.0", "::")


def url(settings: Settings, port: int) -> str:
    """What a browser is to open."""
    known = token(settings)
    query = f"?token={known}" if known else ""
    return f"http{'s' if settings.certificate else ''}://{_reached_by(settings)}:{port}/{query}"


def printed(settings: Settings, address: str) -> str:
    """How a command tells an address: with its token on a terminal alone, since journals and files are read by others."""
    plain, _, known = address.partition("?")
    if not known or width() is not None:
        return address
    place = "--console.token" if settings.token or settings.certificate is None else settings.certificate / TOKEN_FILE
    return f"{plain} (add ?token= and the token of {place})"


def _reached_by(settings: Settings) -> str:
    """The host's name in an address: where it listens everywhere, the first one that the certificate is for."""
    host = settings.host
    if host in _EVERYWHERE:
        host = next(iter(names(settings.certificate)), "") if settings.certificate else ""
        host = host or socket.gethostname()
    return f"[{host}]" if ":" in host else host


def names(folder: Path) -> list[str]:
    """The host names and addresses that the certificate in `folder` is for."""
    certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(one.value) for one in found if isinstance(one, (x509.DNSName, x509.IPAddress))]


def token(settings: Settings) -> str:
    """The token that a visitor has to know; empty: none.

    It is that of the settings or, since a command line can be read by all users, of the certificate's folder.

    Raises:
        SettingsError: One is needed and none is there, or others can read its file.
    """
    if settings.token or settings.certificate is None:
        return settings.token
    path: Path = settings.certificate / TOKEN_FILE
    try:
        known = secret_file.read(path)
    except FileNotFoundError:
        if settings.host in LOOPBACK:
            return ""
        raise SettingsError(
            f"--console.certificate {settings.certificate}: {TOKEN_FILE} is missing; create one with "
            f"./launch/certificate.sh {settings.certificate}"
        ) from None
    if not known or not re.fullmatch(TOKEN, known):
        raise SettingsError(f"{path}: must hold one line of at least 16 letters, digits, - and _; create another")
    return known


def check(settings: Settings) -> None:
    """Raises SettingsError where the page cannot be served as the settings say."""
    encryption(settings)
    token(settings)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as one:
            one.bind(address)
    except OSError as error:
        raise SettingsError(
            f"--console.host {settings.host}: {error.strerror}; give an address of this machine, or 0.0.0.0"
        ) from None


def check_alone(settings: Settings) -> None:
    """The same for a command whose own flags these settings are: `--host` and not `--console.host`."""
    try:
        check(settings)
    except SettingsError as error:
        raise SettingsError(str(error).replace("--console.", "--")) from None


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
            f"--console.certificate {folder}: cannot be read ({error}); create one with ./launch/certificate.sh {folder}"
        ) from None
    return context
