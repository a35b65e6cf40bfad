//! What the CA says of a certificate's renewal (RFC 9773), asked as often as it wants to be. A CA that does not answer changes
//! nothing: renewal is then due by the lifetime.

use crate::acme::{Polled, SuggestedWindow};
use crate::clock::minute;
use crate::error::Result;
use crate::flow::working::Working;
use crate::flow::world::World;
use crate::model::document::{RenewalInfo, Window};
use crate::model::{ledger, renewal};
use jiff::SignedDuration;

/// Asks, and writes the answer down.
pub(super) async fn ask(world: &World, working: &mut Working<'_>) -> Result<()> {
    let installed = working.document.installed.as_ref();
    let Some(certificate_id) = installed.and_then(|i| i.certificate_id.clone()) else { return Ok(()) };
    working.step(world, "asking the CA when to renew");
    let known = working.document.renewal_info.take().filter(|info| info.certificate_id == certificate_id);
    let answer = async {
        let ca = world.ca(&working.wanted.account).await?;
        Ok::<_, crate::error::Error>((ca.describe(), ca.renewal_info(&certificate_id).await?))
    };
    let info = match answer.await {
        Ok((directory, Some(Polled { value, retry_after }))) => {
            let SuggestedWindow { start, end, explanation } = value;
            tracing::debug!(
                certificate = working.wanted.name,
                from = minute(start),
                to = minute(end),
                "suggested renewal"
            );
            RenewalInfo {
                certificate_id,
                directory,
                window: Some(Window { start, end }),
                explanation,
                ask_again: renewal::ask_again(
                    world.clock.now(),
                    retry_after.and_then(|d| SignedDuration::try_from(d).ok()),
                ),
            }
        }
        // It offers none: asked again when it might.
        Ok((directory, None)) => RenewalInfo::unknown(
            certificate_id,
            directory,
            renewal::ask_again(world.clock.now(), Some(SignedDuration::MAX)),
        ),
        Err(e) => {
            tracing::info!(certificate = working.wanted.name, "the CA does not say when to renew: {e}");
            let again = renewal::ask_again(world.clock.now(), None);
            match known {
                Some(known) => RenewalInfo { ask_again: again, ..known },
                None => RenewalInfo::unknown(certificate_id, String::new(), again),
            }
        }
    };
    ledger::note_renewal_info(&mut working.document, info);
    working.save(world).await
}
