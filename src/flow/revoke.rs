//! Revocation: what the CA is told, and what of it must be known here. A revoked certificate that is installed is replaced by the
//! next run; senders that go by DANE-EE never look (RFC 7671 §5.1), everybody else may.

use crate::acme::{AccountKey, Client, Revocation, RevocationReason};
use crate::error::{Error, Kind, Result};
use crate::model::certificate::Chain;
use crate::model::document::{Document, Installed};
use crate::model::key::SpkiDigest;
use crate::store::Store;
use jiff::Timestamp;

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
    /// What the CA did.
    pub revocation: Revocation,
    /// Its own key signed: the CA has the proof that we have it.
    pub by_own_key: bool,
    /// It is the installed one: the next run orders another.
    pub installed: bool,
}

/// Who revokes, and when.
pub struct Revoker<'a> {
    /// State.
    pub store: &'a dyn Store,
    /// The account that the certificates were ordered by.
    pub client: &'a Client,
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
        if reason == RevocationReason::KeyCompromise {
            for chain in &chains {
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
                    return Err(e.remains(format!("Revoked before that: {}.", before.join(", "))));
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
            if is_in_use(&self.store.document(&name).await?, chain.spki) {
                let action = format!("revoke certificate {} because its key leaked", chain.serial);
                let cause = format!(
                    "its key {} is in use by certificate {name}, and the CA would never certify that key again",
                    chain.spki.short()
                );
                return Err(Error::new(Kind::Refused, action, cause)
                    .remains("The CA was not asked; nothing was changed.")
                    .hint(format!("first serve another key: danesmith rotate {name} --emergency --wait"))
                    .hint(format!("then: danesmith revoke {name} --retired --reason key-compromise")));
            }
        }
        Ok(())
    }

    /// The document knows of it before the CA does: a run that is killed between orders one certificate too many, not too few.
    async fn one(&self, name: &str, chain: Chain, reason: RevocationReason) -> Result<Revoked> {
        let mut document = self.store.document(name).await?;
        let installed = document.installed.as_ref().is_some_and(|i| i.serial == chain.serial);
        let mut former = None;
        if let Some(known) = known(&mut document, &chain) {
            former = Some(known.revoked);
            known.revoked.get_or_insert(self.now);
            self.save(name, &mut document).await?;
        }
        let own = match reason {
            RevocationReason::KeyCompromise => self.store.key(name, chain.spki).await?,
            _ => None,
        };
        let own = own.map(|pem| AccountKey::from_pem(pem.bytes())).transpose()?;
        let der = chain.certs_der.first().map(Vec::as_slice).unwrap_or_default();
        let refused = match self.client.revoke(der, reason, own.as_ref()).await {
            Ok(revocation) => {
                return Ok(Revoked { chain, revocation, by_own_key: own.is_some(), installed });
            }
            Err(e) => e,
        };
        let Some(former) = former else { return Err(refused) };
        if !matches!(refused.kind, Kind::Credentials | Kind::Config) {
            let remains = "The certificate counts as revoked here: the next run orders another.";
            return Err(refused.remains(remains));
        }
        if let Some(known) = known(&mut document, &chain) {
            known.revoked = former;
        }
        self.save(name, &mut document).await?;
        Err(refused)
    }

    async fn save(&self, name: &str, document: &mut Document) -> Result<()> {
        document.written = document.written.max(Some(self.now));
        self.store.put(name, document).await
    }
}

/// The installed certificate or the spare one, when it is this.
fn known<'d>(document: &'d mut Document, chain: &Chain) -> Option<&'d mut Installed> {
    let both = document.installed.iter_mut().chain(document.spare.iter_mut());
    both.into_iter().find(|i| i.serial == chain.serial && i.spki == chain.spki)
}

/// Whether a key is served or pinned, or shall be.
fn is_in_use(document: &Document, key: SpkiDigest) -> bool {
    let keys = document.keys.as_ref();
    let installed = document.installed.as_ref().is_some_and(|i| i.spki == key);
    let rotating = document.rotation.as_ref().is_some_and(|r| r.from == key || r.to == key);
    let pinned = document.pins.iter().any(|pin| pin.spki == key);
    installed || rotating || pinned || keys.is_some_and(|k| k.active == key || k.backup == Some(key))
}
