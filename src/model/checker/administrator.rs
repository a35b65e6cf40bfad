//! What an administrator does by hand, between runs. Outside the guarantee, and so not here: deleting the pin of a key that
//! is served; changes after the last look of a run; what is added and removed, or deleted and put back, between two looks,
//! unless the test says so ([`Ability::RestoreUnseen`]).

use super::World;
use super::state::*;

/// What he may do at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ability {
    /// Add a record that is not ours and matches what is served, and remove it once a round of questions has noticed it.
    AddForeign,
    /// Delete pins of keys that nobody presents, and put them back once a round of questions has noticed.
    Delete,
    /// Put them back before.
    RestoreUnseen,
    /// Lower the TTL.
    LowerTtl,
    /// Name another key as backup once, name the former again, and put its pin back after danesmith has removed it.
    ChangeBackup,
    /// Name no backup once, in a rotation too, and name the former again.
    NameNone,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(super) enum Edit {
    AddForeign,
    RemoveForeign,
    Delete(u8),
    Restore(u8),
    LowerTtl,
    LoseBackup,
    NameNone,
    FindBackup,
}

impl World {
    fn may(&self, ability: Ability) -> bool {
        self.administrator.contains(&ability)
    }

    /// What he can do now.
    pub(super) fn edits(&self, s: &State) -> Vec<Edit> {
        let mut edits = Vec::new();
        let pinned = s.primary.keys;
        if self.may(Ability::AddForeign) {
            let settled = s.disk.rotation.is_none() && s.serves.iter().flatten().all(|n| s.live == Some(*n));
            match s.hand.foreign {
                Foreign::Never if pinned != 0 && settled => edits.push(Edit::AddForeign),
                Foreign::Noticed => edits.push(Edit::RemoveForeign),
                _ => {}
            }
        }
        if self.may(Ability::Delete) && s.hand.deleted.is_none() && pinned & s.served() != 0 {
            edits.extend(numbers(pinned & !s.served()).map(Edit::Delete));
        }
        if self.may(Ability::LowerTtl) && s.primary.ttl == TTL && pinned != 0 {
            edits.push(Edit::LowerTtl);
        }
        if self.may(Ability::ChangeBackup) && s.disk.rotation.is_none() {
            edits.extend((!s.hand.changed).then_some(Edit::LoseBackup));
            edits.extend(s.hand.lost.map(|_| Edit::FindBackup));
        }
        if self.may(Ability::NameNone) {
            edits.extend((!s.hand.changed && s.backup.is_some()).then_some(Edit::NameNone));
            edits.extend(s.hand.lost.map(|_| Edit::FindBackup));
        }
        let unseen = self.may(Ability::RestoreUnseen);
        let deleted = s.hand.deleted.filter(|(_, seen)| *seen || unseen).map(|(n, _)| n);
        let dropped = s.hand.lost.filter(|n| s.hand.deleted.is_none_or(|(deleted, _)| deleted != *n));
        let gone = [deleted, dropped].into_iter().flatten().filter(|n| pinned != 0 && pinned & bit(*n) == 0);
        edits.extend(gone.map(Edit::Restore));
        edits
    }

    /// Does it.
    pub(super) fn edit(&self, s: &mut State, edit: Edit) -> Option<()> {
        match edit {
            Edit::AddForeign => (s.hand.foreign, s.primary.foreign) = (Foreign::There, s.live),
            Edit::RemoveForeign => (s.hand.foreign, s.primary.foreign) = (Foreign::Removed, None),
            Edit::Delete(n) => {
                s.hand.deleted = Some((n, false));
                s.hand.restored &= !bit(n);
                s.primary.keys &= !bit(n);
            }
            Edit::Restore(n) => {
                s.hand.deleted = s.hand.deleted.filter(|(deleted, _)| *deleted != n);
                s.hand.restored |= bit(n);
                s.primary.keys |= bit(n);
            }
            Edit::LowerTtl => s.primary.ttl = LOW_TTL,
            Edit::LoseBackup => {
                let next = s.unused()?;
                let mut document = (*s.disk).clone();
                document.retired.remove(&key(next));
                s.disk = Shared::new(document);
                (s.hand.lost, s.hand.changed, s.backup) = (s.backup, true, Some(next));
            }
            Edit::NameNone => (s.hand.lost, s.hand.changed, s.backup) = (s.backup, true, None),
            Edit::FindBackup => (s.hand.lost, s.backup) = (None, Some(s.hand.lost?)),
        }
        Some(())
    }
}
