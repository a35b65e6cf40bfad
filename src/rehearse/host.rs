//! The mail host as danesmith meets it: files are copied, the reload command runs, probes are answered.

use super::faults::{Fate, Peer};
use super::mail::{Chain, INSTANCES, MailServers};
use super::universe::{Universe, lock};
use crate::clock::Clock;
use crate::deploy::{Copied, Deployment, Facts, Hooks};
use crate::error::{Error, Kind, Result};
use crate::model::endpoint::{Algorithm, Ask, Endpoint, Failure, FailureKind, Sni, Versions};
use crate::verify::{Endpoints, Outcome, Presented};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A TLS handshake with both algorithms.
const HANDSHAKES: Duration = Duration::from_millis(60);

#[async_trait]
impl Hooks for Universe {
    async fn deployed(&self, deployment: &Deployment) -> Result<bool> {
        Ok(lock(&self.mail).lies(&deployment.certificate, deployment.generation, &deployment.serial))
    }

    async fn deploy(&self, deployment: &Deployment) -> Result<Copied> {
        let what = format!("copy generation {} to {}", deployment.generation, deployment.files.dir.display());
        if self.before(&what, Peer::Disk).await != Fate::Fine {
            return Err(Error::new(Kind::Local, what, "No space left on device (os error 28)"));
        }
        let found = lock(&self.disk).files(&deployment.certificate, deployment.generation);
        let Some((chain, serial)) = found else {
            return Err(Error::new(Kind::Local, what, "it is not in the state directory"));
        };
        let which = (deployment.generation, serial);
        lock(&self.mail).copied(&deployment.certificate, which, chain, self.time.moment());
        self.after(&what).await;
        Ok(if deployment.files.chains.is_some() { Copied::KeyAndChain } else { Copied::Chain })
    }

    async fn run(&self, argv: &[String], _: Facts<'_>) -> Result<()> {
        let what = format!("run {}", argv.join(" "));
        if self.before(&what, Peer::Reload).await != Fate::Fine {
            return Err(Error::new(Kind::Local, what, "it ended with exit status 1"));
        }
        lock(&self.mail).reloaded(argv, self.time.moment());
        self.after(&what).await;
        Ok(())
    }
}

#[async_trait]
impl Endpoints for Universe {
    async fn probe(&self, endpoint: &Endpoint) -> Result<Vec<Presented>, Failure> {
        let addresses = lock(&self.mail).addresses(&endpoint.host);
        let at = |ip| SocketAddr::new(IpAddr::V4(ip), endpoint.port);
        if addresses.is_empty() {
            return Err(Failure { kind: FailureKind::NoAddress, words: "its name has no address".into() });
        }
        Ok(self.probe_at(endpoint, &addresses.into_iter().map(at).collect()).await)
    }

    async fn probe_at(&self, endpoint: &Endpoint, addresses: &BTreeSet<SocketAddr>) -> Vec<Presented> {
        self.clock().sleep(HANDSHAKES).await;
        addresses.iter().flat_map(|address| self.handshakes(endpoint, *address)).collect()
    }
}

impl Universe {
    fn handshakes(&self, endpoint: &Endpoint, address: SocketAddr) -> Vec<Presented> {
        let instance = lock(&self.mail).instance(address).unwrap_or(INSTANCES);
        let silent = !self.hears(Peer::MailServer(instance));
        let chains = self.presented_at(endpoint, instance);
        let ask = |algorithm| Ask { sni: Sni::Sent, algorithm, versions: Versions::Both };
        let outcome = |algorithm| {
            if silent {
                let words = "no answer within 10 s".into();
                return Outcome::Failed(Failure { kind: FailureKind::Timeout, words });
            }
            let has = |chain: &&Arc<Chain>| chain.algorithm == algorithm;
            match chains.iter().find(has) {
                Some(chain) => Outcome::Chain(chain.certs.clone()),
                // Before anything is deployed, a certificate of the server's own.
                None if chains.is_empty() && algorithm == Algorithm::Ecdsa => {
                    Outcome::Chain(self.own_chain.clone())
                }
                None => Outcome::NothingFor,
            }
        };
        let asked = [Algorithm::Ecdsa, Algorithm::Rsa].into_iter();
        asked.map(|a| Presented { address, ask: ask(a), outcome: outcome(a) }).collect()
    }

    /// What one instance shows at an endpoint now, one chain for each certificate that it has.
    fn presented_at(&self, endpoint: &Endpoint, instance: usize) -> Vec<Arc<Chain>> {
        let now = self.time.moment();
        let desired = lock(&self.desired).clone();
        let mail = lock(&self.mail);
        let certificates = MailServers::of_service(&desired, &endpoint.host, endpoint.port);
        certificates.iter().filter_map(|c| mail.presented(&c.name, instance, now)).collect()
    }
}
