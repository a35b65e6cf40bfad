//! What a provider can do, as far as it is known before it is opened.

use super::catalog::Known;
use crate::model::desired::Provider;
use danesmith_providers::http::TtlRules;
use hickory_proto::rr::RecordType;

/// What a kind says of itself. Programs that tell only when they run (`exec`, `lexicon`) have none.
pub(in crate::config) struct Ability {
    /// For messages: "Linode (Akamai)".
    title: String,
    tlsa: bool,
    ttl: Option<TtlRules>,
}

impl Ability {
    pub(in crate::config) fn of(provider: &Provider, known: &Known) -> Option<Ability> {
        let txt_only = |title: &str| Some(Ability { title: title.to_owned(), tlsa: false, ttl: None });
        match provider {
            Provider::Described(wanted) => {
                let spec = known.catalog.get(&wanted.kind)?;
                let tlsa = spec.types.contains(&RecordType::TLSA);
                Some(Ability { title: spec.title.clone(), tlsa, ttl: Some(spec.ttl.clone()) })
            }
            Provider::AcmeSh(_) => txt_only("acme.sh's interface"),
            Provider::LegoExec(_) => txt_only("lego's exec interface"),
            Provider::HttpReq(_) => txt_only("lego's httpreq interface"),
            Provider::Rfc2136(_) | Provider::Exec(_) | Provider::Lexicon(_) => None,
        }
    }

    /// Why no TLSA can be written through it.
    pub(in crate::config) fn about_tlsa(&self) -> Option<String> {
        (!self.tlsa).then(|| format!("cannot write TLSA records: {} takes TXT only", self.title))
    }

    /// The TTL that it takes instead of this one, seconds.
    pub(in crate::config) fn nearest_ttl(&self, wanted: u32) -> u32 {
        self.ttl.as_ref().map_or(wanted, |rules| rules.nearest(wanted, rules.min))
    }

    /// Which TTLs it takes.
    pub(in crate::config) fn about_ttls(&self) -> String {
        let Some(rules) = &self.ttl else { return format!("{} decides the TTL itself", self.title) };
        if rules.allowed.is_empty() {
            return format!("{} takes TTLs from {} to {} seconds", self.title, rules.min, rules.max);
        }
        let allowed: Vec<String> = rules.allowed.iter().map(u32::to_string).collect();
        format!("{} takes these TTLs only: {}", self.title, allowed.join(", "))
    }
}
