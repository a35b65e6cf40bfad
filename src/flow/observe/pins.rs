//! TLSA at every authoritative server.

use crate::dns::Security;
use crate::error::Result;
use crate::flow::locate::{Located, locate};
use crate::flow::propagation::{name, snapshot};
use crate::flow::world::World;
use crate::model::desired::Certificate;
use crate::model::key::SpkiDigest;
use crate::model::pin;
use crate::model::plan::OwnerView;
use futures_util::future::{join, try_join_all};
use hickory_proto::rr::RecordType;
use std::collections::{BTreeMap, BTreeSet};

/// TLSA at every owner name of a certificate, and where each lives.
pub(in crate::flow) async fn pins(
    world: &World,
    wanted: &Certificate,
) -> Result<(BTreeMap<String, OwnerView>, Vec<Located>)> {
    let owners = try_join_all(wanted.tlsa.iter().map(|owner| async move {
        let located = locate(world, owner, RecordType::TLSA).await?;
        let view = owner_view(world, &located).await?;
        Ok::<_, crate::error::Error>((owner.to_ascii(), view, located))
    }))
    .await?;
    let located = owners.iter().map(|(_, _, l)| l.clone()).collect();
    Ok((owners.into_iter().map(|(o, v, _)| (o, v)).collect(), located))
}

async fn owner_view(world: &World, at: &Located) -> Result<OwnerView> {
    let asked_at = Some(world.clock.now());
    let (answers, security) = join(snapshot(world, at, RecordType::TLSA), zone_security(world, at)).await;
    let mut view = OwnerView { asked_at, unsigned: security?, ..OwnerView::default() };
    let mut first = true;
    for (server, answer) in answers {
        match answer {
            Err(e) => view.silent.push(format!("{} ({}): {}", server.name, server.address, e.cause)),
            Ok(values) => {
                let here: BTreeSet<SpkiDigest> = values.iter().filter_map(pin::digest_of).collect();
                view.somewhere.extend(&here);
                view.everywhere =
                    if first { here } else { view.everywhere.intersection(&here).copied().collect() };
                first = false;
            }
        }
    }
    if first {
        let action = format!("read TLSA at `{}`", at.owner);
        return Err(crate::error::Error::new(crate::error::Kind::Remote, action, view.silent.join("; "))
            .remains("No TLSA record was changed."));
    }
    Ok(view)
}

/// `None`: signed. Asked at the first server that answers.
async fn zone_security(world: &World, at: &Located) -> Result<Option<String>> {
    let asked = at.servers.iter().map(|s| Box::pin(world.reads.security(&at.zone, s)));
    Ok(match futures_util::future::select_ok(asked).await?.0 {
        Security::Signed => None,
        Security::Unsigned(reason) => Some(reason),
    })
}

/// The configured owner name of a located one.
pub(in crate::flow) fn owner_of<'a>(located: &'a [Located], owner: &str) -> Result<Option<&'a Located>> {
    let wanted = name(owner)?;
    Ok(located.iter().find(|l| l.asked == wanted))
}
