"""Whose certificates are trusted."""

import os
import ssl
from pathlib import Path

from rehook_sync.errors import SettingsError

__all__ = ["build_ssl_context", "check_trust"]


def check_trust() -> None:
    """Look, before anything begins, whether certificates can be checked.

    Raises: SettingsError naming the variable that leads to no certificates.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
        except OSError as error:
            said = "no certificate in PEM form is in it" if isinstance(error, ssl.SSLError) else error.strerror or type(error).__name__
            raise SettingsError(f"SSL_CERT_FILE: {file!a} cannot be used ({said}); name a file of certificates, or unset it") from None
    elif folder and not any(Path(each).is_dir() for each in folder.split(os.pathsep)):
        raise SettingsError(f"SSL_CERT_DIR: {folder!a} is no folder; name a folder of certificates, or unset it")


def build_ssl_context() -> ssl.SSLContext:
    """Trust certifi's list, which is always there, and the system's, which may hold a company's own authority."""
    import httpx  # noqa: PLC0415 - whoever only checks what is trusted does not load it

    context = httpx.create_ssl_context()
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context
