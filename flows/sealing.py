"""Keeping a token where others can read the bytes: encrypted with a key that only the client secret gives.

HKDF and not a slow function of passwords: a client secret is made by the vendor, and is too long to be guessed. Each
sealing has a salt and so a key of its own; the secret itself is kept nowhere.
"""

from __future__ import annotations

import base64
import os

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SALT = 16
"""Bytes of it, in front of what is encrypted."""


class Seal:
    """Seals and opens with one secret, for one purpose.

    Args:
        secret: Gives the key.
        purpose: What is sealed for one cannot be opened for another.

    Example:
        >>> sealed = Seal("vcs_1", "acme").close(b"vat_1")
        >>> Seal("vcs_1", "acme").open(sealed), Seal("vcs_2", "acme").open(sealed), b"vat_1" in sealed
        (b'vat_1', None, False)
    """

    def __init__(self, secret: str, purpose: str) -> None:
        self._secret = secret.encode()
        self._purpose = f"prefect-aimd vendor_token 1\0{purpose}".encode()

    def __repr__(self) -> str:
        return "Seal(...)"

    def close(self, content: bytes) -> bytes:
        """Encrypt it."""
        salt = os.urandom(SALT)
        return salt + self._cipher(salt).encrypt(content)

    def open(self, sealed: bytes) -> bytes | None:
        """Decrypt it; None if it was sealed with another secret or for another purpose, or was changed since."""
        try:
            return self._cipher(sealed[:SALT]).decrypt(sealed[SALT:])
        except InvalidToken:
            return None

    def _cipher(self, salt: bytes) -> Fernet:
        key = HKDF(SHA256(), length=32, salt=salt, info=self._purpose).derive(self._secret)
        return Fernet(base64.urlsafe_b64encode(key))
