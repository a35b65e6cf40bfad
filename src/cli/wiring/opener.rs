//! Opens what needs credentials, when it is first needed.

use super::configuration::account;
use crate::acme::Ca;
use crate::clock::Clock;
use crate::dns::Reads;
use crate::error::{Error, Kind, Result};
use crate::flow::account::{Holder, IfUnknown};
use crate::flow::world::Open;
use crate::model::desired::{Account, Desired, Provider as Wanted, Zone};
use crate::store::Accounts;
use async_trait::async_trait;
use danesmith_providers::Provider;
use hickory_proto::rr::RecordType;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Largest CSR or key file that is read, bytes. Our choice: the largest RSA-4096 files are below 10 KiB.
pub(in crate::cli) const MAX_FILE: u64 = 1 << 20;

/// The real opener.
pub(super) struct Opener {
    pub(super) desired: Arc<Desired>,
    pub(super) accounts: Arc<dyn Accounts>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reads: Arc<dyn Reads>,
}

#[async_trait]
impl Open for Opener {
    async fn ca(&self, name: &str) -> Result<Arc<dyn Ca>> {
        let account = account(&self.desired, name)?;
        let (store, clock) = (self.accounts.clone(), self.clock.clone());
        Ok(Holder { store, clock, account, root: root(account)? }.open(IfUnknown::Register).await?)
    }

    async fn provider(&self, name: &str) -> Result<Arc<dyn Provider>> {
        let wanted = self.desired.providers.get(name).ok_or_else(|| {
            Error::new(Kind::Config, format!("open provider `{name}`"), "zones.yaml does not list it")
        })?;
        let provider: Arc<dyn Provider> = match wanted {
            Wanted::Rfc2136(wanted) => Arc::new(self.rfc2136(name, wanted).await?),
            Wanted::Described(wanted) => self.described(name, wanted)?,
            Wanted::Exec(wanted) => self.exec(name, wanted).await?,
            Wanted::AcmeSh(wanted) => self.acme_sh(name, wanted)?,
            Wanted::Lexicon(wanted) => self.lexicon(name, wanted).await?,
            Wanted::LegoExec(wanted) => self.lego_exec(name, wanted)?,
            Wanted::HttpReq(wanted) => self.httpreq(name, wanted)?,
        };
        self.able(name, provider.as_ref())?;
        Ok(provider)
    }

    async fn file(&self, path: &Path) -> Result<Vec<u8>> {
        let line = self.desired.named.get(path).map(|at| format!(", which {at} names")).unwrap_or_default();
        let action = || format!("read `{}`{line}", path.display());
        let refuse = |e: std::io::Error| {
            let hint = "put the file there, or name its place anew; a relative path begins at the folder of zones.yaml";
            Error::new(Kind::Input, action(), e).hint(hint)
        };
        let meta = std::fs::metadata(path).map_err(refuse)?;
        if !meta.is_file() {
            return Err(Error::new(Kind::Input, action(), "it is no file"));
        }
        let size = meta.len();
        if size > MAX_FILE {
            return Err(Error::new(
                Kind::Input,
                action(),
                format!("it has {size} bytes; no CSR or key is that large"),
            ));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(refuse)?;
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(refuse)?;
        Ok(bytes)
    }
}

impl Opener {
    /// Programs tell what they can do only now: config has compared it for all others.
    fn able(&self, name: &str, provider: &dyn Provider) -> Result<()> {
        let can = provider.capabilities();
        let at = |zone: &Zone| zone.provider.as_deref() == Some(name);
        let refuse = |why: String, hint: String| {
            Error::new(Kind::Config, format!("use provider `{name}`"), why)
                .remains("Nothing was ordered and nothing was changed.")
                .hint(hint)
        };
        let owners = self.desired.certificates.values().flat_map(|c| c.tlsa.iter().map(move |o| (c, o)));
        let here =
            owners.filter_map(|(c, owner)| Some((c, owner, self.desired.zone_of(owner).filter(|z| at(z))?)));
        for (certificate, owner, zone) in here {
            if !can.types.contains(&RecordType::TLSA) {
                let why = format!(
                    "{} writes no TLSA records, and certificates.{}.tlsa lists `{}`",
                    provider.describe(),
                    certificate.name,
                    owner.to_ascii().trim_end_matches('.'),
                );
                return Err(refuse(why, "`danesmith provider list` shows which kinds write TLSA".to_owned()));
            }
            // Its TTL is what a rotation waits for; that of a challenge may become what the program takes.
            let (ttl, apex) = (zone.tlsa_ttl, zone.apex.to_ascii());
            if !(can.min_ttl..=can.max_ttl).contains(&ttl) {
                let path = format!("zones.\"{}\".ttl.tlsa", apex.trim_end_matches('.'));
                let (min, max) = (can.min_ttl, can.max_ttl);
                let why = format!("it takes TTLs from {min} to {max} seconds, and {path} is {ttl}");
                return Err(refuse(why, format!("write {}", ttl.clamp(min, max))));
            }
        }
        Ok(())
    }
}

/// The CA's own trust root, if the account names one.
pub(super) fn root(account: &Account) -> Result<Option<Vec<u8>>> {
    let Some(path) = &account.root else { return Ok(None) };
    let read = std::fs::read(path).map_err(|e| {
        Error::new(
            Kind::Config,
            format!("read the CA root `{}` of account `{}`", path.display(), account.name),
            e,
        )
    })?;
    Ok(Some(read))
}
