//! Waiting until every authoritative address has every value, asked directly and in parallel. Lag is normal: inline
//! signing, NOTIFY and transfer, BIND's notify delay of 5 s.

use crate::dns::Server;
use crate::error::{Error, Kind, Result};
use crate::flow::locate::Located;
use crate::flow::world::World;
use crate::flow::zone_writer::text;
use futures_util::future::join_all;
use hickory_proto::rr::{Name, RData, RecordType};
use std::time::Duration;

/// Shortest pause between two looks at a server, and how it grows: a tenth of the time spent waiting, so that no more
/// than a tenth is lost.
const SHORTEST: Duration = Duration::from_millis(20);
/// Longest pause between two looks.
const LONGEST: Duration = Duration::from_millis(500);

/// Values that every server of a located name must have.
pub(super) struct Expected<'a> {
    pub(super) at: &'a Located,
    pub(super) rtype: RecordType,
    pub(super) values: Vec<RData>,
}

/// Returns when every server has everything, or says who is late after `deadline`.
pub(super) async fn wait(world: &World, expected: &[Expected<'_>], deadline: Duration) -> Result<()> {
    let until = world.clock.elapsed() + deadline;
    let mut jobs: Vec<(&Server, Vec<&Expected<'_>>)> = Vec::new();
    for e in expected {
        for server in &e.at.servers {
            match jobs.iter_mut().find(|(s, of)| *s == server && of[0].at.zone == e.at.zone) {
                Some((_, of)) => of.push(e),
                None => jobs.push((server, vec![e])),
            }
        }
    }
    let late: Vec<String> = join_all(jobs.iter().map(|(server, of)| wait_for(world, server, of, until)))
        .await
        .into_iter()
        .flatten()
        .collect();
    if late.is_empty() {
        return Ok(());
    }
    let names: Vec<_> =
        expected.iter().take(3).map(|e| format!("{} at `{}`", e.rtype, text(&e.at.owner))).collect();
    Err(Error::new(
        Kind::Remote,
        format!("see {} on every authoritative server within {} s", names.join(", "), deadline.as_secs()),
        late.join("; "),
    )
    .hint("look at the transfers to the late server (NOTIFY, allow-transfer, TSIG); `propagation:` of the zone sets the time; \
           `check:` names the servers to look at when this host cannot reach the NS set"))
}

/// Watches one server: the first name until it is there (the zone's changes arrive together), then all others.
async fn wait_for(world: &World, server: &Server, of: &[&Expected<'_>], until: Duration) -> Option<String> {
    let (first, rest) = of.split_first()?;
    // The change is on its way; nobody can have it yet.
    world.clock.sleep(SHORTEST).await;
    if let Some(late) = watch(world, server, first, until).await {
        return Some(late);
    }
    join_all(rest.iter().map(|e| watch(world, server, e, until))).await.into_iter().flatten().next()
}

async fn watch(world: &World, server: &Server, e: &Expected<'_>, until: Duration) -> Option<String> {
    let began = world.clock.elapsed();
    loop {
        let answer = world.reads.ask(server, &e.at.owner, e.rtype).await;
        let last = match &answer {
            Ok(a) if has_all(&a.values, &e.values) => return None,
            Ok(a) => format!("still without it (it has {} value(s) there)", a.values.len()),
            Err(error) => error.cause.clone(),
        };
        let now = world.clock.elapsed();
        let pause = (now.saturating_sub(began) / 10).clamp(SHORTEST, LONGEST);
        if now + pause > until {
            return Some(format!("{} ({}): {last}", server.name, server.address));
        }
        world.clock.sleep(pause).await;
    }
}

fn has_all(there: &[RData], wanted: &[RData]) -> bool {
    wanted.iter().all(|w| there.contains(w))
}

/// A name from zones.yaml, the CA or our state, in A-labels (`Name::to_ascii`); all were checked, so a failure is ours.
pub(super) fn name(text: &str) -> Result<Name> {
    let mut name = Name::from_ascii(text)
        .map_err(|e| Error::new(Kind::Internal, format!("read the name `{text}`"), e))?;
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}
