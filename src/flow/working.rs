//! A certificate being worked on.

use crate::clock::minute;
use crate::error::Result;
use crate::flow::world::World;
use crate::model::desired::Certificate;
use crate::model::document::Document;
use crate::model::plan::Wish;
use jiff::Timestamp;

/// What is wanted, what is durable, what happened.
pub(super) struct Working<'a> {
    pub(super) wanted: &'a Certificate,
    pub(super) document: Document,
    pub(super) live: Option<u64>,
    /// What `rotate` asks for, until it is begun.
    pub(super) wish: Option<Wish>,
    /// The same, as the command line said it: another rotation may have to end first.
    pub(super) asked: Option<Wish>,
    /// Pins were added in this run.
    pub(super) published: bool,
    pub(super) changes: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Working<'a> {
    pub(super) fn new(wanted: &'a Certificate, wish: Option<Wish>) -> Self {
        Working {
            wanted,
            document: Document::default(),
            live: None,
            wish,
            asked: wish,
            published: false,
            changes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Replaces the document on disk, and notes the time: a clock before it will be noticed.
    pub(super) async fn save(&mut self, world: &World) -> Result<()> {
        self.document.written = self.document.written.max(Some(world.clock.now()));
        world.store.put(&self.wanted.name, &self.document).await
    }

    /// Points `live` at a generation; the spare one stays.
    pub(super) async fn switch(&mut self, world: &World, generation: u64) -> Result<()> {
        let spare = self.document.spare.as_ref().map(|s| s.generation);
        world.store.switch(&self.wanted.name, generation, spare).await?;
        self.live = Some(generation);
        Ok(())
    }

    /// Whether the administrator accepts that mail is deferred until old caches have expired.
    pub(super) fn switches_at_once(&self) -> bool {
        self.wish == Some(Wish::Emergency { switch_now: true })
    }

    /// Who switches at once waits for no name server that is late: what goes on is decided by what stands where somebody answers.
    pub(super) fn unless_at_once(&mut self, seen: Result<()>) -> Result<()> {
        match seen {
            Err(late) if self.switches_at_once() => {
                let told = format!("the key is switched at once, so no server is waited for: {}", late.cause);
                self.warn(told);
                Ok(())
            }
            seen => seen,
        }
    }

    /// Whether anything happens after an installation.
    pub(super) fn reloads(&self) -> bool {
        !self.wanted.deploy.is_empty()
    }

    pub(super) fn step(&self, world: &World, step: &str) {
        tracing::debug!(certificate = self.wanted.name, "{step}");
        world.progress.step(&self.wanted.name, step);
    }

    pub(super) fn changed(&mut self, what: String) {
        self.changes.push(what);
    }

    pub(super) fn warn(&mut self, what: String) {
        if !self.warnings.contains(&what) {
            self.warnings.push(what);
        }
    }

    pub(super) async fn sleep_until(&self, world: &World, until: Timestamp, why: &str) {
        self.step(world, &format!("waiting until {}: {why}", minute(until)));
        let left = until.duration_since(world.clock.now());
        world.clock.sleep(left.try_into().unwrap_or_default()).await;
        // It may have taken days, and the zone may have got another name server meanwhile.
        world.forget_servers();
    }
}
