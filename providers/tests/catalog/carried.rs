//! Whether a write says what was announced: with the values that stay and without those that go, or with the id or value of
//! the one that goes; and whose name it is about.

use super::wire::{self, Request};
use super::zone::{Change, Record, Zone};
use danesmith_providers::Semantics;

/// The part of a request that says what shall stand, and the whole of it.
pub(crate) struct Said {
    values: String,
    whole: String,
}

impl Said {
    /// `values`: the part that says what shall stand; none: all of it.
    pub(crate) fn of(request: &Request, values: Option<String>) -> Said {
        let target = wire::decoded(&request.target.replace('+', " "));
        let whole = format!("{target} {} {}", request.body, request.content()).to_lowercase();
        Said { values: values.map_or_else(|| whole.clone(), |part| part.to_lowercase()), whole }
    }

    /// What is wrong with a write that was announced as `change`; none: it says just that. `sole`: the file works on single
    /// values only, and removes by name.
    pub(crate) fn wrong(
        &self,
        change: &Change,
        zone: &Zone,
        semantics: Semantics,
        sole: bool,
    ) -> Option<String> {
        let here = zone.here();
        let removed = here.iter().find(|record| Some(record.id) == change.remove).copied();
        let kept: Vec<&Record> = here.iter().filter(|it| Some(it.id) != change.remove).copied().collect();
        let named = self.names(zone) || here.iter().any(|record| self.has_id(record.id));
        if !named {
            return Some(format!("it names neither {} nor a record there", zone.at.0));
        }
        if let Some(lost) = change.add.as_ref().filter(|record| !self.has_value(record)) {
            return Some(format!("it is without {}", lost.essence()));
        }
        if semantics == Semantics::RrSet {
            return self.wrong_set(&kept, removed);
        }
        let other = |record: &&Record| change.add.is_none() && self.has_id(record.id);
        let rest = zone.records.iter().filter(|record| Some(record.id) != change.remove);
        if let Some(other) = rest.clone().find(other) {
            return Some(format!("it names the record {} of {}", other.id, other.fqdn));
        }
        if let Some(other) = kept.iter().find(|record| self.has_value(record)) {
            return Some(format!("it is with {}, which nobody spoke of", other.essence()));
        }
        let gone = removed.filter(|record| !sole && !self.has_id(record.id) && !self.has_value(record));
        gone.map(|record| format!("it has neither the id {} nor the value {}", record.id, record.essence()))
    }

    /// A whole set: with all that stays, without what goes.
    fn wrong_set(&self, kept: &[&Record], removed: Option<&Record>) -> Option<String> {
        if let Some(lost) = kept.iter().find(|record| !self.has_value(record)) {
            return Some(format!("it is without {}, which shall stay", lost.essence()));
        }
        let still = removed.filter(|record| self.has_value(record));
        still.map(|record| format!("it is with {}, which shall go", record.essence()))
    }

    fn has_value(&self, record: &Record) -> bool {
        self.values.contains(&record.essence().to_lowercase())
    }

    /// The id as a number of its own, not as part of a longer one.
    fn has_id(&self, id: u32) -> bool {
        self.whole.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits == id.to_string())
    }

    /// The owner: as it is, or label by label for hosts that take names apart.
    fn names(&self, zone: &Zone) -> bool {
        let relative = zone.relative();
        let words = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-';
        let has = |label: &str| self.whole.split(words).any(|word| word == label);
        self.whole.contains(&relative) || relative.split('.').all(has)
    }
}
