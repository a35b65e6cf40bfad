//! Revocation: what the CA is told, and what of it must be known here. A revoked certificate that is installed is replaced by the
//! next run; senders that go by DANE-EE never look (RFC 7671 §5.1), everybody else may.

use crate::acme::{AccountKey, Client, Revocation, RevocationReason};
use crate::clock::minute;
use crate::error::{Error, Kind, Result};
use crate::model::certificate::Chain;
use crate::model::document::{Document, Installed};
use crate::model::key::SpkiDigest;
use crate::store::Store;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Which certificates are revoked.
#[derive(Debug)]
pub enum Which {
    /// The installed one.
    Installed,
    /// Those of retired keys whose files are still in the state directory and that have not expired.
    Retired,
    /// This one.
    Given(Box<Chain>),
}

/// A certificate that the CA revoked.
#[derive(Debug)]
pub struct Revoked {
    /// It, with what else its file had.
    pub chain: Chain,
    /// It had been revoked before.
    pub before: bool,
    /// Its own key signed: the CA has the proof that we have it.
    pub by_own_key: bool,
    /// For which certificate of the state directory it is installed: the next run orders another.
    pub installed_by: Option<String>,
}

/// Who revokes, and when.
pub struct Revoker<'a> {
    /// State.
    pub store: &'a dyn Store,
    /// The account that the certificates were ordered by.
    pub client: &'a Client,
    /// The certificates of zones.yaml.
    pub listed: BTreeSet<String>,
    /// Now.
    pub now: Timestamp,
}

impl Revoker<'_> {
    /// Revokes certificates of the configured certificate `name`, all or, with the error, those before the one that failed.
    ///
    /// Errors: `Refused` for `KeyCompromise` while the key is in use: the CA would never certify it again, so it must be rotated
    /// out first. `Usage` when there is none.
    pub async fn revoke(&self, name: &str, which: Which, reason: RevocationReason) -> Result<Vec<Revoked>> {
        let document = self.store.document(name).await?;
        let chains = self.chains(name, &document, which).await?;
        for chain in &chains {
            if chain.not_after <= self.now {
                let action = format!("revoke certificate {}", chain.serial);
                let cause = format!("it expired on {}: nobody accepts it any more", minute(chain.not_after));
                return Err(Error::new(Kind::Input, action, cause).remains("The CA was not asked."));
            }
            if reason == RevocationReason::KeyCompromise {
                self.refuse_key_in_use(chain).await?;
            }
        }
        let mut revoked: Vec<Revoked> = Vec::new();
        for chain in chains {
            match self.one(name, chain, reason).await {
                Ok(done) => revoked.push(done),
                Err(e) if revoked.is_empty() => return Err(e),
                Err(e) => {
                    let before: Vec<_> = revoked.iter().map(|r| r.chain.serial.as_str()).collect();
                    let remains = e.remains.clone().unwrap_or_default();
                    return Err(
                        e.remains(format!("{remains} Revoked were {}.", before.join(", ")).trim_start())
                    );
                }
            }
        }
        Ok(revoked)
    }

    async fn chains(&self, name: &str, document: &Document, which: Which) -> Result<Vec<Chain>> {
        let action = format!("revoke certificates of {name}");
        match which {
            Which::Given(chain) => Ok(vec![*chain]),
            Which::Installed => match &document.installed {
                Some(installed) => Ok(vec![self.chain(name, installed.generation).await?]),
                None => Err(Error::new(Kind::Usage, action, "none is installed")
                    .hint("name the file of the one you mean with --file")),
            },
            Which::Retired => {
                let mut chains = Vec::new();
                for generation in 1..document.next_generation() {
                    if !self.store.intact(name, generation, false).await? {
                        continue;
                    }
                    let chain = self.chain(name, generation).await?;
                    if document.retired.contains(&chain.spki) && chain.not_after > self.now {
                        chains.push(chain);
                    }
                }
                if chains.is_empty() {
                    let cause =
                        "the state directory has no certificate of a retired key that has not expired";
                    return Err(Error::new(Kind::Usage, action, cause)
                        .hint("name the file of the one you mean with --file; the CA's transparency logs have copies"));
                }
                Ok(chains)
            }
        }
    }

    async fn chain(&self, name: &str, generation: u64) -> Result<Chain> {
        Chain::of_der(self.store.chain(name, generation).await?).map_err(Error::from)
    }

    async fn refuse_key_in_use(&self, chain: &Chain) -> Result<()> {
        for name in self.store.certificates().await? {
            let document = self.store.document(&name).await?;
            if !is_in_use(&document, chain.spki) {
                continue;
            }
            let action = format!("revoke certificate {} because its key leaked", chain.serial);
            let cause = format!(
                "its key {} is in use by certificate {name}, and the CA would never certify that key again",
                chain.spki.short()
            );
            let refusal = Error::new(Kind::Refused, action, cause)
                .remains("The CA was not asked; nothing was changed.");
            let live = self.store.live_path(&name);
            let folder = live.parent().unwrap_or(&live).display();
            return Err(match (self.listed.contains(&name), document.pins.is_empty()) {
                (true, false) => refusal
                    .hint(format!("first serve another key: danesmith rotate {name} --emergency --wait"))
                    .hint(format!("then, before the next renewal: danesmith revoke {name} --retired --reason key-compromise")),
                (true, true) => refusal.hint(format!(
                    "nothing pins it: name another key in zones.yaml, or move {folder} away where danesmith keeps the keys; apply; then \
                     revoke the former certificate by its file"
                )),
                (false, _) => refusal.hint(format!(
                    "zones.yaml does not list {name} any more: when nothing serves it and its TLSA records are gone, move {folder} away"
                )),
            });
        }
        Ok(())
    }

    /// The CA first, then the document: whoever asks again after a kill, or after an answer that was lost, asks for the same one.
    async fn one(&self, name: &str, chain: Chain, reason: RevocationReason) -> Result<Revoked> {
        let own = match reason {
            RevocationReason::KeyCompromise => self.store.key(name, chain.spki).await?,
            _ => None,
        };
        let own = own.and_then(|pem| AccountKey::from_pem(pem.bytes()).ok());
        let der = chain.certs_der.first().map(Vec::as_slice).unwrap_or_default();
        let answer = self.client.revoke(der, reason, own.as_ref()).await;
        let named = |e| Error { action: format!("revoke certificate {}", chain.serial), ..e };
        let before = answer.map_err(named)? == Revocation::Already;
        let installed_by = self.note(&chain).await.map_err(|e| {
            e.remains(format!("The CA has revoked certificate {}.", chain.serial))
                .hint("run it again, so that the next apply replaces it")
        })?;
        Ok(Revoked { chain, before, by_own_key: own.is_some(), installed_by })
    }

    /// Has the next run replace it, whichever certificate it is installed for.
    async fn note(&self, chain: &Chain) -> Result<Option<String>> {
        let mut installed_by = None;
        for name in self.store.certificates().await? {
            let mut document = self.store.document(&name).await?;
            if document.installed.as_ref().is_some_and(|i| is(i, chain)) {
                installed_by = Some(name.clone());
            }
            if let Some(known) = known(&mut document, chain) {
                known.revoked.get_or_insert(self.now);
                self.store.put(&name, &document).await?;
            }
        }
        Ok(installed_by)
    }
}

/// The installed certificate or the spare one, when it is this.
fn known<'d>(document: &'d mut Document, chain: &Chain) -> Option<&'d mut Installed> {
    let both = document.installed.iter_mut().chain(document.spare.iter_mut());
    both.into_iter().find(|i| is(i, chain))
}

fn is(installed: &Installed, chain: &Chain) -> bool {
    installed.serial == chain.serial && installed.spki == chain.spki
}

/// Whether a key is served or pinned, or shall be.
fn is_in_use(document: &Document, key: SpkiDigest) -> bool {
    let keys = document.keys.as_ref();
    let installed = document.installed.as_ref().is_some_and(|i| i.spki == key);
    let rotating = document.rotation.as_ref().is_some_and(|r| r.from == key || r.to == key);
    let pinned = document.pins.iter().any(|pin| pin.spki == key);
    installed || rotating || pinned || keys.is_some_and(|k| k.active == key || k.backup == Some(key))
}
