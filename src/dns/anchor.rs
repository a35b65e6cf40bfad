//! Where trust begins: the root's keys, or those that the administrator names.

use crate::error::{Error, Kind, Result};
use domain::base::iana::Rtype;
use domain::dnssec::validator::anchor::TrustAnchors;
use domain::zonefile::inplace::{Entry, Zonefile};
use std::path::Path;

/// DS of the root's key-signing keys KSK-2017 and KSK-2024, as IANA publishes them in root-anchors.xml (RFC 9718).
const ROOT: &str = "\
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
";

/// Largest file that is read, bytes. Our choice: a few keys are below 10 KiB.
const MAX_FILE: u64 = 1 << 16;

/// Trust anchors (RFC 4033 §2): DS or DNSKEY records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor(String);

impl TrustAnchor {
    /// The root zone's.
    pub fn root() -> Self {
        TrustAnchor(ROOT.to_owned())
    }

    /// DS or DNSKEY records in zone-file form (RFC 1035 §5), such as BIND's, Knot's and unbound's `root.key`.
    /// Anything else is an error of kind `Config`.
    pub fn read(path: &Path) -> Result<Self> {
        let action = || format!("read the trust anchor `{}`", path.display());
        let size = std::fs::metadata(path).map_err(|e| Error::new(Kind::Config, action(), e))?.len();
        if size > MAX_FILE {
            return Err(Error::new(
                Kind::Config,
                action(),
                format!("it has {size} bytes; no trust anchor is that large"),
            ));
        }
        let text = std::fs::read_to_string(path).map_err(|e| Error::new(Kind::Config, action(), e))?;
        TrustAnchor::parse(&text).map_err(|cause| {
            Error::new(Kind::Config, action(), cause)
                .hint("write DS or DNSKEY records with their owner name, as in `. IN DS 20326 8 2 E06D…`")
        })
    }

    /// The same from text; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut zonefile = Zonefile::new();
        zonefile.set_default_class(domain::base::iana::Class::IN);
        zonefile.extend_from_slice(text.as_bytes());
        zonefile.extend_from_slice(b"\n");
        let mut records = 0;
        for entry in zonefile {
            match entry.map_err(|error| error.to_string())? {
                Entry::Record(record) if [Rtype::DS, Rtype::DNSKEY].contains(&record.rtype()) => records += 1,
                Entry::Record(record) => return Err(format!("it holds a {} record", record.rtype())),
                Entry::Include { .. } => return Err("it wants to include another file".into()),
            }
        }
        if records == 0 {
            Err("it holds no DS and no DNSKEY record".into())
        } else {
            Ok(TrustAnchor(text.to_owned()))
        }
    }

    /// In the validator's form. Its parser is the one that accepted the text.
    pub(super) fn anchors(&self) -> TrustAnchors {
        TrustAnchors::from_u8(self.0.as_bytes()).unwrap_or_else(|_| TrustAnchors::empty())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_anchor_is_the_one_debian_ships() {
        assert!(TrustAnchor::parse(ROOT).is_ok());
        // Package dns-root-data, an independent copy.
        if let Ok(packaged) = std::fs::read_to_string("/usr/share/dns/root.ds") {
            let lines = |text: &str| text.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(lines(&packaged), lines(ROOT));
        }
    }

    #[test]
    fn keys_as_servers_write_them_are_read() {
        let key = "; a comment\n.\t3600\tIN\tDNSKEY\t257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n";
        assert_eq!(TrustAnchor::parse(key), Ok(TrustAnchor(key.to_owned())));
        assert!(TrustAnchor::parse("example.org. IN DS 1 13 2 00").is_ok());
    }

    #[test]
    fn what_is_no_trust_anchor_is_refused() {
        for (text, why) in [
            ("", "no DS"),
            ("; nothing\n", "no DS"),
            (". IN NS a.root-servers.net.", "a NS record"),
            ("$INCLUDE other\n", "include"),
            (". IN DS 20326 8 2 XYZ", ""),
            ("-----BEGIN CERTIFICATE-----", ""),
        ] {
            let error = TrustAnchor::parse(text).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
