"""The command `certificate.sh DIR NAME...`: a certificate of our own for the console's page, for ten years, and a token.
Called by runtime/cli.py.

A browser asks once whether to trust it: compare the fingerprint that is printed here. In a folder with a certificate alone
the token is added.
"""

import datetime
import ipaddress
import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runtime.console.access import CERTIFICATE as CERTIFICATE_FILE
from runtime.console.access import KEY, TOKEN_FILE
from runtime.console.flags import CERTIFICATE
from runtime.errors import SettingsError
from runtime.host.next_step import say_next
from runtime.host.terminal import say

_DAYS = 3650  # ten years; chosen: people trust it by its fingerprint, and a renewed one would have to be compared again


def main(arguments: list[str]) -> int:
    """Make the certificate, its key and the token in the folder of the line. Called by runtime/cli.py; returns 0."""
    options, _ = CERTIFICATE.read(arguments)
    folder = options.folder
    there = [name for name in (CERTIFICATE_FILE, KEY, TOKEN_FILE) if (folder / name).exists()]
    try:
        if there == [CERTIFICATE_FILE, KEY]:
            _secret(folder / TOKEN_FILE, _token())
            say(f"{folder}: added a token to the certificate")
            _say_next(folder)
            return 0
        if there:
            raise SettingsError(f"{folder / there[0]}: already exists; give another folder, or delete it")
        if not options.names:
            raise SettingsError(f"{folder}: host names are missing; run ./launch/certificate.sh {folder} NAME...")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fingerprint = make(folder, list(options.names))
    except OSError as error:
        raise SettingsError(f"{folder}: cannot be written ({error.strerror}); give another folder") from None
    say(f"{folder}: wrote a certificate for {', '.join(options.names)} (SHA-256 fingerprint {fingerprint}) and a token")
    _say_next(folder)
    return 0


def _say_next(folder: Path) -> None:
    say_next("serve the page with it", "robot", "--console.host", "0.0.0.0", "--console.certificate", folder)


def make(folder: Path, names: list[str]) -> str:
    """Write the files; only the owner can read the key and the token. Returns the fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    written = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _secret(folder / KEY, written)
    _secret(folder / TOKEN_FILE, _token())
    (folder / CERTIFICATE_FILE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate.fingerprint(hashes.SHA256()).hex(":")


def _token() -> bytes:
    return f"{secrets.token_urlsafe(24)}\n".encode()


def _secret(path: Path, content: bytes) -> None:
    """A new file that only its owner can read. Raises OSError when there is one."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
