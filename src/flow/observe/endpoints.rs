//! Keys at every endpoint.

use crate::dns::{Lookup, Security};
use crate::flow::world::World;
use crate::model::desired::{Certificate, Endpoints, Protocol};
use crate::model::endpoint::{Endpoint, EndpointView, FailedProbe, Failure, Shown, Sni, Versions, place_of};
use crate::model::key::read_any;
use crate::model::pin::TlsaOwner;
use crate::verify::{Outcome, Presented};
use futures_util::future::{join, join_all};
use hickory_proto::rr::{Name, RData, RecordType};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// What every address of every endpoint presents. Every certificate of an address counts: senders choose the algorithm.
pub(in crate::flow) async fn endpoints(world: &World, wanted: &Certificate) -> EndpointView {
    let mut view = EndpointView::default();
    let Endpoints::Listed(list) = &wanted.endpoints else { return view };
    let more = unlisted(&wanted.tlsa, list);
    let listed = join_all(list.iter().map(|e| async move { (e, probe(world, e).await) }));
    let besides = join_all(more.iter().map(|e| async move { (e, probe(world, e).await) }));
    let (listed, besides) = join(listed, besides).await;
    for (endpoint, probed) in besides {
        take(&mut view, endpoint, probed);
    }
    // Nobody said that something listens there; what answers shows it.
    let answered = |endpoint: &String| view.shown.iter().any(|shown| is_of(endpoint, &shown.at));
    view.answered = more.iter().map(Endpoint::to_string).filter(answered).collect();
    view.unlisted = std::mem::take(&mut view.failed);
    let before = view.shown.len();
    for (endpoint, probed) in listed {
        take(&mut view, endpoint, probed);
    }
    view.listed = view.shown.iter().skip(before).map(|shown| place_of(&shown.at).to_owned()).collect();
    view
}

/// Whether this probe was one of that endpoint.
fn is_of(endpoint: &str, at: &str) -> bool {
    at.strip_prefix(endpoint).is_some_and(|rest| rest.starts_with(" at "))
}

/// Takes in what one endpoint showed.
fn take(view: &mut EndpointView, endpoint: &Endpoint, probed: Probed) {
    let before = view.failed.len();
    match probed.presented {
        Err(words) => fail(view, endpoint, endpoint.to_string(), words),
        Ok(answers) => add(view, endpoint, &answers),
    }
    view.failed.iter_mut().skip(before).for_each(|failed| failed.nowhere = probed.nowhere);
    view.address_ttls.extend(probed.ttl.map(|ttl| (endpoint.host.clone(), ttl)));
    if endpoint.protocol == Protocol::Smtp {
        view.insecure.extend(probed.insecure.map(|why| {
            format!(
                "the addresses of {} are not secure ({why}): senders do not look for TLSA records there (RFC 7672 §2.2.2)",
                endpoint.host
            )
        }));
    }
}

/// What senders find at an owner name that no listed endpoint stands for, such as port 993 where only 25 is listed: whatever
/// answers there has to match the same pins. A listed address, or a name that is no owner's, stands for all at its port.
fn unlisted(owners: &[Name], list: &[Endpoint]) -> Vec<Endpoint> {
    let owners: Vec<_> = owners.iter().filter_map(TlsaOwner::of).collect();
    let stands_for = |endpoint: &Endpoint, owner: &TlsaOwner| {
        let of_an_owner = owners.iter().any(|o| o.host == endpoint.host);
        endpoint.port == owner.port && (endpoint.host == owner.host || !of_an_owner)
    };
    let bare = owners.iter().filter(|owner| !list.iter().any(|endpoint| stands_for(endpoint, owner)));
    bare.filter_map(|owner| {
        let protocol = Protocol::at_port(owner.port)?;
        Some(Endpoint { protocol, host: owner.host.clone(), port: owner.port })
    })
    .collect()
}

/// What an endpoint showed.
struct Probed {
    presented: Result<Vec<Presented>, String>,
    /// DNS has no address for the host, or the host is an address.
    nowhere: bool,
    /// Why DNSSEC does not secure its addresses.
    insecure: Option<String>,
    /// Their TTL, where signatures tell it.
    ttl: Option<u32>,
}

/// The addresses of a host in DNS.
#[derive(Default)]
struct Addresses {
    found: BTreeSet<IpAddr>,
    insecure: Option<String>,
    ttl: Option<u32>,
}

/// At the addresses that senders find in DNS: this machine's `hosts` file may know one of several instances only, such as
/// 127.0.1.1 on the mail host itself. It counts where DNS has no address at all.
async fn probe(world: &World, endpoint: &Endpoint) -> Probed {
    let addresses = match (endpoint.host.parse::<IpAddr>(), Name::from_ascii(format!("{}.", endpoint.host))) {
        (Err(_), Ok(name)) => addresses(world, &name).await,
        _ => Ok(Addresses::default()),
    };
    let Addresses { found, insecure, ttl } = match addresses {
        Ok(addresses) => addresses,
        Err(words) => return Probed { presented: Err(words), nowhere: false, insecure: None, ttl: None },
    };
    if found.is_empty() {
        let presented = world.endpoints.probe(endpoint).await.map_err(|failure| failure.words);
        return Probed { presented, nowhere: true, insecure: None, ttl };
    }
    let found = found.into_iter().map(|ip| SocketAddr::new(ip, endpoint.port)).collect();
    let presented = Ok(world.endpoints.probe_at(endpoint, &found).await);
    Probed { presented, nowhere: false, insecure, ttl }
}

async fn addresses(world: &World, name: &Name) -> Result<Addresses, String> {
    let both =
        join(world.reads.lookup(name, RecordType::A), world.reads.lookup(name, RecordType::AAAA)).await;
    judged([both.0, both.1])
}

/// Aliases on the way count: one that is not secure makes the whole as weak (RFC 7672 §2.2.2).
fn judged(both: [crate::error::Result<Lookup>; 2]) -> Result<Addresses, String> {
    let mut addresses = Addresses::default();
    for found in both {
        let found = found.map_err(|e| format!("its addresses are not known: {}", e.cause))?;
        match &found.security {
            Security::Bogus(why) => return Err(format!("its addresses are bogus: {why}")),
            Security::Insecure(why) if !found.records.is_empty() => addresses.insecure = Some(why.clone()),
            Security::Insecure(_) => {}
            // What is left of an unsigned TTL in a cache says little.
            Security::Secure { .. } if !found.records.is_empty() => {
                let aliases: u32 = found.links.iter().map(|link| link.ttl).sum();
                addresses.ttl = addresses.ttl.max(Some(found.ttl.saturating_add(aliases)));
            }
            Security::Secure { .. } => {}
        }
        addresses.found.extend(found.records.iter().filter_map(RData::ip_addr));
    }
    Ok(addresses)
}

fn add(view: &mut EndpointView, endpoint: &Endpoint, answers: &[Presented]) {
    let addresses: BTreeSet<_> = answers.iter().map(|p| p.address).collect();
    for address in addresses {
        let here: Vec<_> = answers.iter().filter(|p| p.address == address).collect();
        let named: Vec<_> = here.iter().copied().filter(|p| p.ask.sni == Sni::Sent).collect();
        let nameless: Vec<_> = here.into_iter().filter(|p| p.ask.sni == Sni::Absent).collect();
        let at = format!("{endpoint} at {address}");
        if named.is_empty() {
            // The endpoint is an address: there is no name to send.
            judge(view, endpoint, &at, &nameless);
        } else {
            judge(view, endpoint, &at, &named);
            for nameless in nameless.iter().filter_map(|p| shown(endpoint, &at, p).ok()) {
                let known = |s: &Shown| s.at.starts_with(&at) && s.chain == nameless.chain;
                if !view.shown.iter().chain(&view.fallback).any(known) {
                    view.fallback.push(nameless);
                }
            }
        }
    }
}

/// One address, all asks that DANE clients may make.
fn judge(view: &mut EndpointView, endpoint: &Endpoint, at: &str, answers: &[&Presented]) {
    if answers.iter().all(|p| p.outcome == Outcome::NothingFor) {
        fail(view, endpoint, at.to_owned(), NO_COMMON_GROUND.into());
    }
    for answer in answers {
        match shown(endpoint, at, answer) {
            // What TLS 1.3 showed already, TLS 1.2 need not repeat.
            Ok(shown)
                if view.shown.iter().any(|s| same(s, &shown) && answer.ask.versions == Versions::Tls12) => {}
            Ok(shown) => view.shown.push(shown),
            Err(Some(failure)) => fail(view, endpoint, at.to_owned(), failure.words),
            Err(None) => {}
        }
    }
}

/// Said where every ask was met with "nothing for that".
pub(in crate::flow) const NO_COMMON_GROUND: &str = "no TLS handshake possible: the server has neither TLS 1.3 nor TLS 1.2 with forward secrecy, or no certificate";

/// `Err(None)`: the server has nothing for this ask.
fn shown(endpoint: &Endpoint, at: &str, answer: &Presented) -> Result<Shown, Option<Failure>> {
    let chain = match &answer.outcome {
        Outcome::NothingFor => return Err(None),
        Outcome::Failed(failure) => return Err(Some(failure.clone())),
        Outcome::Chain(chain) => chain,
    };
    let Some((key, _)) = chain.first().and_then(|leaf| read_any(leaf).ok()) else {
        let words = "it presents no readable certificate".into();
        return Err(Some(Failure { kind: crate::verify::FailureKind::Handshake, words }));
    };
    let (host, at) = (endpoint.host.clone(), format!("{at}, {}", answer.ask));
    Ok(Shown { host, at, algorithm: answer.ask.algorithm, key, chain: chain.clone() })
}

/// The same certificate at the same place, asked for in the same algorithm.
fn same(one: &Shown, other: &Shown) -> bool {
    other.at.starts_with(&one.at) && (one.algorithm, &one.chain) == (other.algorithm, &other.chain)
}

fn fail(view: &mut EndpointView, endpoint: &Endpoint, at: String, reason: String) {
    let (endpoint, host) = (endpoint.to_string(), endpoint.host.clone());
    let failed = FailedProbe { endpoint, host, at, reason, nowhere: false };
    if !view.failed.contains(&failed) {
        view.failed.push(failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn besides(owners: &[&str], listed: &[(&str, u16)]) -> Vec<String> {
        let owners: Vec<_> = owners.iter().filter_map(|owner| Name::from_ascii(owner).ok()).collect();
        let listed: Vec<_> = listed
            .iter()
            .map(|(host, port)| Endpoint { protocol: Protocol::Tls, host: (*host).into(), port: *port })
            .collect();
        unlisted(&owners, &listed).iter().map(Endpoint::to_string).collect()
    }

    fn found(addresses: &[[u8; 4]], security: Security) -> crate::error::Result<Lookup> {
        let name = Name::root();
        let records = addresses.iter().map(|ip| RData::A(std::net::Ipv4Addr::from(*ip).into())).collect();
        let (asked, links) = (name.clone(), Vec::new());
        Ok(Lookup { asked, name, links, records, ttl: 300, nxdomain: false, security })
    }

    /// RFC 7672 §2.2.2: senders look for TLSA only where the addresses are secure; §2.1.2: bogus ones are unreachable.
    #[test]
    fn rule_7_an_address_that_is_not_secure_is_told_and_a_bogus_one_is_no_answer() {
        let secure = || Security::Secure { until: jiff::Timestamp::MAX, last: jiff::Timestamp::MAX };
        let insecure = || Security::Insecure("no DS".into());
        let ip = [192, 0, 2, 1];
        let told = |both| judged(both).map(|a| (a.found.len(), a.insecure, a.ttl));
        assert_eq!(told([found(&[ip], secure()), found(&[], secure())]), Ok((1, None, Some(300))));
        assert_eq!(
            told([found(&[ip], insecure()), found(&[], insecure())]),
            Ok((1, Some("no DS".into()), None))
        );
        assert_eq!(
            told([found(&[ip], secure()), found(&[], insecure())]),
            Ok((1, None, Some(300))),
            "opt-out"
        );
        let bogus = Security::Bogus("expired".into());
        assert_eq!(
            told([found(&[ip], secure()), found(&[], bogus)]),
            Err("its addresses are bogus: expired".into())
        );
    }

    /// RFC 7672 §2.2, §7.
    #[test]
    fn rule_16_an_owner_name_that_no_listed_endpoint_stands_for_is_probed_all_the_same() {
        let (smtp, imap, other) =
            ("_25._tcp.mx1.example.org.", "_993._tcp.mx1.example.org.", "_25._tcp.mx2.example.org.");
        assert_eq!(besides(&[smtp, imap], &[("mx1.example.org", 25)]), ["tls://mx1.example.org:993"]);
        assert_eq!(besides(&[smtp, other], &[("mx1.example.org", 25)]), ["smtp://mx2.example.org:25"]);
        assert!(besides(&[smtp, imap], &[("mx1.example.org", 25), ("mx1.example.org", 993)]).is_empty());
        assert!(
            besides(&[smtp, other], &[("192.0.2.1", 25)]).is_empty(),
            "an address stands for all at its port"
        );
        assert!(besides(&["*._tcp.mx1.example.org."], &[("mx1.example.org", 25)]).is_empty());
    }
}
