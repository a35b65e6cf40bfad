//! Where an owner name really lives: aliases followed into other zones, the zone cut found by asking the zone's own
//! servers. The system's resolver is never asked about the name itself: it (or the CA's, with the same cache) would
//! remember that the name does not exist (RFC 2308, RFC 8198).

use crate::dns::{Answer, Server};
use crate::error::{Error, Kind, Result};
use crate::flow::world::World;
use crate::flow::zone_writer::text;
use crate::model::desired::Zone;
use futures_util::future::{join, select_ok};
use hickory_proto::rr::{Name, RecordType};

/// Aliases in a row that we follow. Our choice: resolvers give up between 8 and 16.
const MAX_ALIASES: usize = 8;
/// Delegations below a configured zone that we follow.
const MAX_CUTS: usize = 4;

/// Where the records of an owner name must be written and looked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located {
    /// The name that was asked for.
    pub(super) asked: Name,
    /// The name after aliases.
    pub(super) owner: Name,
    /// The names that are aliases, from the asked one on.
    pub(super) aliases: Vec<Name>,
    /// Apex of the zone that holds it.
    pub(super) zone: Name,
    /// Apex of the configured zone whose provider writes there.
    pub(super) via: Name,
    /// All servers that must have the records.
    pub(super) servers: Vec<Server>,
}

/// Follows `asked` to the zone that holds it. Loops, dangling aliases and names in zones without provider are errors.
pub(super) async fn locate(world: &World, asked: &Name, rtype: RecordType) -> Result<Located> {
    let action = || format!("find the zone of `{}`", text(asked));
    let mut owner = asked.to_lowercase();
    let mut path = vec![owner.clone()];
    loop {
        let next = match world.zone_of(&owner) {
            Some(via) => match look(world, via, &owner, rtype).await? {
                Look::Here { zone, servers } => return settle(path, zone, via, servers),
                Look::Alias(target) => target,
            },
            None => match world.reads.alias(&owner).await? {
                Some(target) => target,
                None => return Err(uncovered(action(), &path)),
            },
        };
        owner = next.to_lowercase();
        if path.contains(&owner) || path.len() > MAX_ALIASES {
            path.push(owner);
            return Err(Error::new(
                Kind::Remote,
                action(),
                format!("the aliases run in a circle or are too many: {}", chain(&path)),
            )
            .remains("Nothing was ordered and nothing was changed.")
            .hint("mend the CNAME records"));
        }
        path.push(owner.clone());
    }
}

enum Look {
    Alias(Name),
    Here { zone: Name, servers: Vec<Server> },
}

/// Asks the servers of the configured zone, and of delegations below it, until one says that it serves the name.
async fn look(world: &World, via: &Zone, owner: &Name, rtype: RecordType) -> Result<Look> {
    let mut zone = via.apex.clone();
    for _ in 0..MAX_CUTS {
        let servers = servers(world, via, &zone, rtype).await?;
        let (at_name, soa) = ask_any(world, &servers, owner, rtype).await?;
        if let Some(target) = at_name.alias.or(soa.alias) {
            return Ok(Look::Alias(target));
        }
        let cut = at_name.referral.or(soa.referral).or(at_name.zone).or(soa.zone);
        match cut.map(|c| c.to_lowercase()) {
            Some(cut) if cut != zone => zone = cut,
            _ => return Ok(Look::Here { zone, servers }),
        }
    }
    Err(Error::new(
        Kind::Remote,
        format!("find the zone of `{}`", text(owner)),
        "too many delegations below the configured zone",
    )
    .hint("list the innermost zone in zones.yaml"))
}

/// Every look at TLSA is validated; TXT is for the CA, which believes no zone that validating resolvers do not believe.
async fn servers(world: &World, via: &Zone, zone: &Name, rtype: RecordType) -> Result<Vec<Server>> {
    match world.servers(via, zone).await {
        Err(error) if rtype == RecordType::TLSA && via.check.is_empty() => {
            world.reads.unvalidated_name_servers(zone).await.map_err(|_| error)
        }
        found => found,
    }
}

/// The first answers that come: the RRset itself, and the SOA that tells the zone cut when the RRset exists.
async fn ask_any(
    world: &World,
    servers: &[Server],
    owner: &Name,
    rtype: RecordType,
) -> Result<(Answer, Answer)> {
    let questions = servers.iter().map(|server| {
        Box::pin(async move {
            let (a, b) =
                join(world.reads.ask(server, owner, rtype), world.reads.ask(server, owner, RecordType::SOA))
                    .await;
            Ok::<_, Error>((a?, b?))
        })
    });
    if servers.is_empty() {
        return Err(Error::new(
            Kind::Remote,
            format!("ask about `{}`", text(owner)),
            "its zone has no name server with an address",
        ));
    }
    Ok(select_ok(questions).await?.0)
}

/// `path` goes from the asked name to the one that is no alias.
fn settle(mut path: Vec<Name>, zone: Name, via: &Zone, servers: Vec<Server>) -> Result<Located> {
    let owner = path.pop().unwrap_or_else(Name::root);
    let asked = path.first().unwrap_or(&owner).clone();
    if via.provider.is_none() {
        return Err(Error::new(
            Kind::Config,
            format!("write at `{}`", text(&owner)),
            format!(
                "zone `{}` has `provider: none` and the name is no alias into a zone that has one",
                text(&via.apex)
            ),
        )
        .remains("Nothing was ordered and nothing was changed.")
        .hint(format!(
            "make `{}` a CNAME into a zone with a provider, or give this zone one",
            text(&asked)
        )));
    }
    Ok(Located { asked, owner, aliases: path, zone, via: via.apex.clone(), servers })
}

fn uncovered(action: String, path: &[Name]) -> Error {
    Error::new(
        Kind::Config,
        action,
        format!("it leads to {}, which no zone of zones.yaml covers", chain(path)),
    )
    .remains("Nothing was ordered and nothing was changed.")
    .hint("list the zone of the last name under `zones`, or mend the CNAME")
}

fn chain(path: &[Name]) -> String {
    path.iter().map(|n| format!("`{}`", text(n))).collect::<Vec<_>>().join(" → ")
}
