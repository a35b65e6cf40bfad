//! How each kind looks and what it is called. Each differs from the others by more than its colour: by its place, its
//! pattern or its shape.

use crate::model::timeline::{MomentKind, Role, SpanKind};

/// All kinds of spans, in the order of the legend.
pub(super) const SPANS: [SpanKind; 6] = [
    SpanKind::Served,
    SpanKind::Pinned,
    SpanKind::Ripe,
    SpanKind::Retiring,
    SpanKind::Lost,
    SpanKind::Waiting,
];

/// The class in the style sheet, a word, and what the legend says.
pub(super) fn span(kind: SpanKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        SpanKind::Served => ("served", "served", "servers present this key"),
        SpanKind::Pinned => ("pinned", "pinned", "in DNS, but old caches may not have it yet"),
        SpanKind::Ripe => ("ripe", "ripe", "in DNS, and every cache without it has expired"),
        SpanKind::Retiring => ("retiring", "retiring", "no longer served, leaving DNS"),
        SpanKind::Lost => ("lost", "lost", "some name server lacks the pin, or was not heard"),
        SpanKind::Waiting => ("waiting", "waiting", "something waits for its time"),
    }
}

/// All marks, in the order of the legend.
pub(super) const MARKS: [Mark; 11] = [
    Mark::Issued,
    Mark::Renewed,
    Mark::Staged,
    Mark::Deployed,
    Mark::Rotated,
    Mark::Aborted,
    Mark::Due,
    Mark::Expires,
    Mark::Outside,
    Mark::Failed,
    Mark::Revoked,
];

/// What is drawn for a moment. The later in this list, the more it matters: of marks in one place the last is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// A hollow circle.
    Staged,
    /// A hollow triangle on its tip.
    Due,
    /// A tick across the served bar.
    Renewed,
    /// A full circle.
    Issued,
    /// A triangle to the right.
    Deployed,
    /// A full diamond.
    Rotated,
    /// A post with a bar.
    Expires,
    /// A hollow square.
    Outside,
    /// A hollow diamond.
    Aborted,
    /// A cross.
    Failed,
    /// A full square with a cross.
    Revoked,
}

impl Mark {
    /// `None`: the edge of a span shows it, and the table names it.
    pub(super) fn of(kind: MomentKind) -> Option<Mark> {
        match kind {
            MomentKind::Issued => Some(Mark::Issued),
            MomentKind::Renewed => Some(Mark::Renewed),
            MomentKind::Staged => Some(Mark::Staged),
            MomentKind::Deployed => Some(Mark::Deployed),
            MomentKind::Rotated => Some(Mark::Rotated),
            MomentKind::Aborted => Some(Mark::Aborted),
            MomentKind::Revoked | MomentKind::Refused => Some(Mark::Revoked),
            MomentKind::Failed | MomentKind::PutOff | MomentKind::Stopped => Some(Mark::Failed),
            MomentKind::Outside => Some(Mark::Outside),
            MomentKind::RenewalDue | MomentKind::RotationDue => Some(Mark::Due),
            MomentKind::Expires => Some(Mark::Expires),
            MomentKind::Published
            | MomentKind::Everywhere
            | MomentKind::Ripe
            | MomentKind::Begun
            | MomentKind::Retiring
            | MomentKind::Withdrawn => None,
        }
    }

    /// Around (0, 0), within five units.
    pub(super) fn path(self) -> &'static str {
        match self {
            Mark::Issued | Mark::Staged => "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
            Mark::Renewed => "M0-5V5",
            Mark::Deployed => "M-3.5-4.5L4.5 0L-3.5 4.5z",
            Mark::Rotated | Mark::Aborted => "M0-5L4.5 0L0 5L-4.5 0z",
            Mark::Due => "M-4.5-3.5H4.5L0 4.5z",
            Mark::Expires => "M-3.5-5H3.5M0-5V5M-3.5 5H3.5",
            Mark::Outside => "M-4-4H4V4H-4z",
            Mark::Failed => "M-4-4L4 4M4-4L-4 4",
            Mark::Revoked => "M-5-5H5V5H-5zM-2.5-2.5L2.5 2.5M2.5-2.5L-2.5 2.5",
        }
    }

    /// The class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Mark::Issued | Mark::Deployed | Mark::Rotated => "full",
            Mark::Staged | Mark::Due | Mark::Outside | Mark::Aborted => "hollow",
            Mark::Renewed | Mark::Expires => "stroke",
            Mark::Failed => "stroke bad",
            Mark::Revoked => "badge bad",
        }
    }

    /// What the legend says.
    pub(super) fn words(self) -> &'static str {
        match self {
            Mark::Issued => "first certificate",
            Mark::Renewed => "renewed",
            Mark::Staged => "certificate for the next key ready",
            Mark::Deployed => "key installed",
            Mark::Rotated => "rotation done",
            Mark::Aborted => "rotation taken back",
            Mark::Due => "due",
            Mark::Expires => "expires",
            Mark::Outside => "somebody else’s doing",
            Mark::Failed => "failed, put off, or a clock stopped",
            Mark::Revoked => "revoked, or a delivery refused",
        }
    }
}

/// The word for a moment.
pub(super) fn moment(kind: MomentKind) -> &'static str {
    match kind {
        MomentKind::Issued => "issued",
        MomentKind::Renewed => "renewed",
        MomentKind::Staged => "staged",
        MomentKind::Published => "published",
        MomentKind::Everywhere => "everywhere",
        MomentKind::Stopped => "stopped",
        MomentKind::Ripe => "ripe",
        MomentKind::Begun => "begun",
        MomentKind::Deployed => "deployed",
        MomentKind::Retiring => "retiring",
        MomentKind::Rotated => "rotated",
        MomentKind::Aborted => "aborted",
        MomentKind::Withdrawn => "withdrawn",
        MomentKind::Revoked => "revoked",
        MomentKind::PutOff => "put off",
        MomentKind::Failed => "failed",
        MomentKind::Outside => "outside",
        MomentKind::Refused => "refused",
        MomentKind::RenewalDue => "renewal due",
        MomentKind::RotationDue => "rotation due",
        MomentKind::Expires => "expires",
    }
}

/// The word for a role.
pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Active => "active",
        Role::Backup => "backup",
        Role::Retired => "retired",
        Role::Other => "other",
    }
}
