//! Keys by what they are known by: the SHA-256 of their SubjectPublicKeyInfo.

/// SHA-256 of a DER SubjectPublicKeyInfo: the association data of a TLSA 3 1 1 record (RFC 6698 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpkiDigest(pub [u8; 32]);
