//! What a DANE sender looks up before it connects to a mail host (RFC 7672 §2.2).

use super::{Lookup, Reads};
use crate::error::{Error, Kind, Result};
use futures_util::future::{join3, try_join};
use hickory_proto::rr::{Name, RData, RecordType};

/// The look-ups for one mail host, each with its verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct MailHost {
    /// MX of the mail domain; `None`: not asked for.
    pub mx: Option<Lookup>,
    /// IPv4 addresses.
    pub a: Lookup,
    /// IPv6 addresses.
    pub aaaa: Lookup,
    /// TLSA at the name that a sender uses.
    pub tlsa: Lookup,
    /// The TLSA base domain: the host after aliases, or before them (RFC 7672 §2.2.3).
    pub base: Name,
}

impl MailHost {
    /// Does DANE protect the way to this host? Then MX, addresses and TLSA are all secure, and TLSA exists.
    pub fn is_protected(&self) -> bool {
        self.weaknesses().is_empty() && !self.tlsa.records.is_empty()
    }

    /// What is not secure, and why: "A of `mx.example.org.` is insecure: …".
    pub fn weaknesses(&self) -> Vec<String> {
        let all = [
            (RecordType::MX, self.mx.as_ref()),
            (RecordType::A, Some(&self.a)),
            (RecordType::AAAA, Some(&self.aaaa)),
            (RecordType::TLSA, Some(&self.tlsa)),
        ];
        let weak = all.into_iter().filter_map(|(rtype, lookup)| {
            let lookup = lookup?;
            Some(format!("{rtype} of `{}` is {}", lookup.asked.to_ascii(), lookup.security.weakness()?))
        });
        weak.collect()
    }
}

/// Looks up MX of `domain` (if given), addresses and TLSA of `host`, as a sender would.
pub async fn mail_host(reads: &dyn Reads, domain: Option<&Name>, host: &Name, port: u16) -> Result<MailHost> {
    let mx = async {
        match domain {
            Some(domain) => reads.lookup(domain, RecordType::MX).await.map(Some),
            None => Ok(None),
        }
    };
    let (mx, a, aaaa) =
        join3(mx, reads.lookup(host, RecordType::A), reads.lookup(host, RecordType::AAAA)).await;
    let (mx, a, aaaa) = (mx?, a?, aaaa?);
    let (base, tlsa) = tlsa(reads, &a, port).await?;
    Ok(MailHost { mx, a, aaaa, tlsa, base })
}

/// TLSA at the expanded name first, if the aliases are secure all the way, then at the original one.
async fn tlsa(reads: &dyn Reads, addresses: &Lookup, port: u16) -> Result<(Name, Lookup)> {
    let (original, expanded) = (addresses.asked.clone(), addresses.name.clone());
    let at = |base: &Name| {
        Name::from_ascii(format!("_{port}._tcp.{}", base.to_ascii()))
            .map_err(|e| Error::new(Kind::Input, format!("form the TLSA name of `{}`", base.to_ascii()), e))
    };
    let secure = addresses.links.iter().all(|link| link.security.is_secure());
    if original == expanded || !secure {
        let found = reads.lookup(&at(&original)?, RecordType::TLSA).await?;
        return Ok((original, found));
    }
    let (first, second) = (at(&expanded)?, at(&original)?);
    let (first, second) =
        try_join(reads.lookup(&first, RecordType::TLSA), reads.lookup(&second, RecordType::TLSA)).await?;
    let usable =
        first.security.is_secure() && first.records.iter().any(|data| matches!(data, RData::TLSA(_)));
    Ok(if usable || second.records.is_empty() { (expanded, first) } else { (original, second) })
}
