"""What a failed TLS handshake means, in words: OpenSSL's reasons are for those who know them by heart.

In TLS 1.3 a client has finished its handshake before the server looks at its certificate: a refusal comes with the first read
(RFC 8446 4.4.2.4 and 6.2), so whoever waits for an answer asks here what the loss of the connection meant.
"""

from __future__ import annotations

from typing import Final

PLAIN: Final = "the other end does not speak TLS: set [security.tls] at both ends"
_CERTIFICATE: Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",
                       "CERTIFICATE_UNKNOWN", "UNSUPPORTED_CERTIFICATE", "PEER_DID_NOT_RETURN_A_CERTIFICATE",
                       "ACCESS_DENIED", "DECRYPT_ERROR")  # fmt: skip
_NO_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "HTTP_REQUEST",
    "UNEXPECTED_MESSAGE",
    "PACKET_LENGTH_TOO_LONG",
)
_VERSION: Final = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")


def in_words(error: BaseException | None) -> str:
    """What `error` says about certificates or the lack of TLS; empty when it says nothing of the kind."""
    found: BaseException | None = error
    while found is not None:
        words = _of(found)
        if words:
            return words
        found = found.__cause__ or found.__context__
    return ""


def _of(error: BaseException) -> str:
    verdict = getattr(error, "verify_message", "")
    if verdict:
        return f"the certificate of the other end is not accepted: {verdict} ([security.tls])"
    reason = str(getattr(error, "reason", "") or "").upper()
    if not reason:
        return ""
    if any(each in reason for each in _CERTIFICATE):
        why = reason.rpartition("ALERT_")[2].lower().replace("_", " ")
        return f"certificate refused: the other end does not accept ours ({why}; [security.tls] cert)"
    if any(each in reason for each in _NO_TLS):
        return PLAIN
    if any(each in reason for each in _VERSION):
        return "no version of TLS in common: 1.2 is the oldest that is spoken"
    return ""
