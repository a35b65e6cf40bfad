//! Keys by what they are known by: the SHA-256 of their SubjectPublicKeyInfo.

/// SHA-256 of a DER SubjectPublicKeyInfo: the association data of a TLSA 3 1 1 record (RFC 6698 §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpkiDigest(pub [u8; 32]);
impl std::fmt::Display for SpkiDigest { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&hex::encode(self.0)) } }
impl serde::Serialize for SpkiDigest { fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(self) } }
impl<'de> serde::Deserialize<'de> for SpkiDigest { fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> { let t = String::deserialize(d)?; let mut o=[0;32]; hex::decode_to_slice(t, &mut o).map_err(serde::de::Error::custom)?; Ok(SpkiDigest(o)) } }
