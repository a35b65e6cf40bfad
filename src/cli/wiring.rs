//! Puts the real effects together: clock, packets, disk, probes, hooks. The only place where all rooms meet.

use super::Global;
use crate::acme::{Ca, Client};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::deploy::Processes;
use crate::dns::{Reads, Resolver, ResolverConfig, TrustAnchor, Validation};
use crate::error::{Error, Kind, Result};
use crate::flow::World;
use crate::flow::account::{self, IfUnknown};
use crate::flow::verify::Eyes;
use crate::flow::world::{Effects, Open, Progress};
use crate::model::csr::Csr;
use crate::model::desired::{Account, Certificate, Desired, Provider as Wanted, Rfc2136 as WantedRfc2136};
use crate::model::desired::{Transport, TsigAlgorithm, Validation as WantedValidation};
use crate::store::Store;
use crate::store::directory::Directory;
use crate::verify::{Prober, ProberConfig};
use async_trait::async_trait;
use danesmith_providers::Provider;
use danesmith_providers::rfc2136::{self, Rfc2136};
use hickory_proto::rr::Name;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Largest CSR or key file that is read, bytes. Our choice: the largest RSA-4096 files are below 10 KiB.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// Whether a command may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// No lock; a state directory that does not exist is not made.
    Read,
    /// Takes the lock.
    Change,
}

/// Nobody watches.
pub(super) struct Silent;

impl Progress for Silent {
    fn step(&self, _: &str, _: &str) {}
}

/// zones.yaml as `--config` and `--state` say.
pub(super) fn load(global: &Global) -> Result<Arc<Desired>> {
    let names = |path: &Path| {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        Csr::parse(&bytes).map(|csr| csr.names).map_err(|e| e.to_string())
    };
    let mut desired = config::load(&global.config, &names).map_err(config::problems_to_error)?;
    if let Some(state) = &global.state {
        desired.state = state.clone();
    }
    Ok(Arc::new(as_tested(desired)))
}

/// What zones.yaml says, without the rules that a test takes away.
#[cfg_attr(not(debug_assertions), expect(unused_mut, reason = "there is nothing to take away"))]
pub(super) fn as_tested(mut desired: Desired) -> Desired {
    #[cfg(debug_assertions)]
    without_waiting(&mut desired);
    desired
}

/// Debug builds only: a test that must see mail break takes the waiting rule away.
#[cfg(debug_assertions)]
fn without_waiting(desired: &mut Desired) {
    use crate::model::policy::Policy;
    use jiff::SignedDuration;
    if std::env::var_os("DANESMITH_TEST_WITHOUT_WAITING").is_some() {
        tracing::warn!(
            "DANESMITH_TEST_WITHOUT_WAITING: keys are served before their pins are ripe, mail WILL break"
        );
        let none = Policy { ttls: 0, slack: SignedDuration::ZERO, floor: SignedDuration::ZERO };
        desired.certificates.values_mut().for_each(|c| c.policy = none);
    }
}

/// The certificates that the command line names; all when it names none.
pub(super) fn choose<'d>(desired: &'d Desired, names: &[String]) -> Result<Vec<&'d Certificate>> {
    if names.is_empty() {
        if desired.certificates.is_empty() {
            tracing::warn!("zones.yaml lists no certificate: there is nothing to do");
        }
        return Ok(desired.certificates.values().collect());
    }
    let mut chosen: Vec<&Certificate> = Vec::new();
    for name in names {
        let known: Vec<_> = desired.certificates.keys().cloned().collect();
        let found = desired.certificates.get(name).ok_or_else(|| {
            Error::new(Kind::Usage, format!("find certificate `{name}`"), "zones.yaml does not list it")
                .hint(format!("it lists: {}", known.join(", ")))
        })?;
        if !chosen.iter().any(|c| c.name == found.name) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// An account of zones.yaml.
pub(super) fn account<'d>(desired: &'d Desired, name: &str) -> Result<&'d Account> {
    desired.accounts.get(name).ok_or_else(|| {
        let known: Vec<_> = desired.accounts.keys().cloned().collect();
        Error::new(Kind::Usage, format!("find account `{name}`"), "zones.yaml does not list it")
            .hint(format!("it lists: {}", known.join(", ")))
    })
}

/// Opens an account outside a run.
pub(super) async fn open_account(
    desired: &Desired,
    account: &Account,
    if_unknown: IfUnknown,
) -> Result<Arc<Client>> {
    let store = Directory::locked(&desired.state)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    account::open(&store, &clock, account, root(account)?, if_unknown).await
}

/// The real world.
pub(super) async fn world(
    desired: &Arc<Desired>,
    access: Access,
    progress: impl Progress + 'static,
) -> Result<World> {
    let store: Arc<dyn Store> = Arc::new(match access {
        Access::Read => Directory::read_only(&desired.state),
        Access::Change => Directory::locked(&desired.state)?,
    });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let memory = store.memory().await;
    let reads: Arc<dyn Reads> = Arc::new(Resolver::new(resolver(desired)?));
    let opener =
        Opener { desired: desired.clone(), store: store.clone(), clock: clock.clone(), reads: reads.clone() };
    let effects = Effects {
        clock,
        reads,
        store,
        endpoints: Arc::new(Prober::new(ProberConfig::default())?),
        hooks: Arc::new(Processes),
        open: Arc::new(opener),
        progress: Arc::new(progress),
    };
    Ok(World::new(desired.clone(), effects, memory))
}

/// Sixteen hexadecimal digits that nobody else has.
pub(super) fn random_marker() -> Result<String> {
    let mut bytes = [0u8; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .map_err(|_| Error::new(Kind::Internal, "draw a random number", "the system gave none"))?;
    Ok(hex::encode(bytes))
}

/// What `verify` looks with: resolvers and trust anchor of the command line, else those of zones.yaml, else the
/// system's resolvers and the root's keys.
pub(super) fn eyes(desired: Option<&Desired>, resolvers: &[String], anchor: Option<&Path>) -> Result<Eyes> {
    let mut config = desired.map(resolver).transpose()?.unwrap_or_default();
    if !resolvers.is_empty() {
        config.resolvers = addresses(resolvers, Kind::Usage)?;
    }
    if let Some(path) = anchor {
        config.validation = Validation::Own(TrustAnchor::read(path)?);
    }
    Ok(Eyes {
        clock: Arc::new(SystemClock::new()),
        reads: Arc::new(Resolver::new(config)),
        endpoints: Arc::new(Prober::new(ProberConfig::default())?),
    })
}

fn addresses(resolvers: &[String], kind: Kind) -> Result<Vec<SocketAddr>> {
    let parse = |text: &String| {
        let address = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 53)));
        address.map_err(|e| Error::new(kind, format!("use resolver `{text}`"), e))
    };
    resolvers.iter().map(parse).collect()
}

fn resolver(desired: &Desired) -> Result<ResolverConfig> {
    let resolvers = addresses(&desired.resolvers, Kind::Config)?;
    let validation = match &desired.validation {
        WantedValidation::Own { trust_anchor: None } => Validation::Own(TrustAnchor::root()),
        WantedValidation::Own { trust_anchor: Some(path) } => Validation::Own(TrustAnchor::read(path)?),
        WantedValidation::Resolver => Validation::Resolver,
    };
    Ok(ResolverConfig { resolvers, validation, ..ResolverConfig::default() })
}

fn root(account: &Account) -> Result<Option<Vec<u8>>> {
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

struct Opener {
    desired: Arc<Desired>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    reads: Arc<dyn Reads>,
}

#[async_trait]
impl Open for Opener {
    async fn ca(&self, name: &str) -> Result<Arc<dyn Ca>> {
        let account = account(&self.desired, name)?;
        let client =
            account::open(self.store.as_ref(), &self.clock, account, root(account)?, IfUnknown::Register)
                .await?;
        Ok(client)
    }

    async fn provider(&self, name: &str) -> Result<Arc<dyn Provider>> {
        match self.desired.providers.get(name) {
            Some(Wanted::Rfc2136(wanted)) => Ok(Arc::new(self.rfc2136(name, wanted).await?)),
            None => Err(Error::new(
                Kind::Config,
                format!("open provider `{name}`"),
                "zones.yaml does not list it",
            )),
        }
    }

    async fn file(&self, path: &Path) -> Result<Vec<u8>> {
        let action = || format!("read `{}`", path.display());
        let size = std::fs::metadata(path).map_err(|e| Error::new(Kind::Input, action(), e))?.len();
        if size > MAX_FILE {
            return Err(Error::new(
                Kind::Input,
                action(),
                format!("it has {size} bytes; no CSR or key is that large"),
            ));
        }
        std::fs::read(path).map_err(|e| Error::new(Kind::Input, action(), e))
    }
}

impl Opener {
    async fn rfc2136(&self, name: &str, wanted: &WantedRfc2136) -> Result<Rfc2136> {
        let action = || format!("open provider `{name}`");
        let port = if wanted.transport == Transport::Tls { 853 } else { 53 };
        let servers = self.reads.addresses(&wanted.server).await?;
        let explicit = explicit_port(&wanted.server);
        let servers = servers
            .into_iter()
            .map(|s| SocketAddr::new(s.address.ip(), if explicit { s.address.port() } else { port }))
            .collect();
        let secret = wanted.secret.read()?;
        let secret = tsig_secret(secret.bytes()).ok_or_else(|| {
            Error::new(Kind::Credentials, action(), "its TSIG secret is not base64")
                .remains("Nothing was ordered and nothing was changed.")
                .hint("give the secret alone, as it stands between the quotes of what tsig-keygen prints")
        })?;
        let clock = self.clock.clone();
        let transport = match wanted.transport {
            Transport::Tcp => rfc2136::Transport::Tcp,
            Transport::Udp => rfc2136::Transport::Udp,
            Transport::Tls => self.tls(wanted)?,
        };
        Rfc2136::new(rfc2136::Config {
            servers,
            label: wanted.server.clone(),
            transport,
            key_name: Name::from_ascii(&wanted.key_name)
                .map_err(|e| Error::new(Kind::Config, action(), e))?,
            algorithm: match wanted.algorithm {
                TsigAlgorithm::HmacSha256 => rfc2136::Algorithm::HmacSha256,
                TsigAlgorithm::HmacSha384 => rfc2136::Algorithm::HmacSha384,
                TsigAlgorithm::HmacSha512 => rfc2136::Algorithm::HmacSha512,
            },
            secret,
            timeout: wanted.timeout,
            clock: Arc::new(move || clock.now().as_second().try_into().unwrap_or_default()),
        })
        .map_err(|e| Error::new(Kind::Config, action(), e.message))
    }

    fn tls(&self, wanted: &WantedRfc2136) -> Result<rfc2136::Transport> {
        let root_pem = match &wanted.tls_root {
            None => None,
            Some(path) => Some(std::fs::read(path).map_err(|e| {
                Error::new(Kind::Config, format!("read the trust root `{}`", path.display()), e)
            })?),
        };
        let server_name = wanted.tls_name.clone().unwrap_or_else(|| host_part(&wanted.server).to_owned());
        Ok(rfc2136::Transport::Tls { server_name, root_pem })
    }
}

/// Base64, white space around and within it ignored.
fn tsig_secret(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bare = Zeroizing::new(text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect::<Vec<u8>>());
    data_encoding::BASE64.decode(&bare).ok().filter(|s| !s.is_empty()).map(Zeroizing::new)
}

fn explicit_port(server: &str) -> bool {
    server.parse::<SocketAddr>().is_ok()
        || (server.parse::<std::net::IpAddr>().is_err()
            && server.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()))
}

fn host_part(server: &str) -> &str {
    let bare =
        if explicit_port(server) { server.rsplit_once(':').map_or(server, |(h, _)| h) } else { server };
    bare.trim_start_matches('[').trim_end_matches(']')
}
