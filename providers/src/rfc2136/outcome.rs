//! What can go wrong between an UPDATE and its answer, told apart, and told to a person.

use crate::{Class, Error};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::tsig::TsigError;

/// Everything that is not an authenticated answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// No connection, so nothing was sent.
    Unreachable(String),
    /// The TLS handshake failed, so nothing was sent.
    Tls(String),
    /// Sent, and no readable answer came: the server may or may not have acted.
    Unknown(String),
    /// An unsigned error (RFC 8945 §5.2.1, §5.2.2): advice for a person, not a fact.
    Hint { rcode: ResponseCode, tsig: Option<TsigError> },
    /// A signed BADTIME with both clocks in Unix seconds (RFC 8945 §5.2.3).
    ClockSkew { ours: u64, servers: Option<u64> },
    /// An answer that nothing authenticates.
    Forged(String),
    /// A defect of ours.
    Internal(String),
}

impl Failure {
    /// An unsigned BADKEY.
    pub(super) fn is_bad_key(&self) -> bool {
        matches!(self, Failure::Hint { tsig: Some(TsigError::BadKey), .. })
    }
}

/// Where an exchange happened and for what, for its errors.
pub(super) struct Story<'a> {
    /// The server's label.
    pub(super) server: &'a str,
    /// TSIG key name and algorithm.
    pub(super) key: String,
    /// The zone.
    pub(super) zone: &'a Name,
    /// Names and types concerned: "TXT at _acme-challenge.example.org".
    pub(super) names: String,
}

impl Story<'_> {
    /// An error for a failed exchange.
    pub(super) fn failure(&self, failure: &Failure) -> Error {
        let server = self.server;
        match failure {
            Failure::Unreachable(why) => {
                Error::new(Class::Transient, format!("{server} cannot be reached: {why}; nothing was sent"))
                    .hint("check the server's address and that a firewall lets DNS pass over this transport")
            }
            Failure::Tls(why) => Error::new(
                Class::Rejected,
                format!("the TLS handshake with {server} failed: {why}; nothing was sent"),
            )
            .hint("the server's certificate must carry the configured name and chain to the configured root"),
            Failure::Unknown(why) => {
                Error::new(Class::Transient, format!("{server} did not answer for {}: {why}", self.names))
                    .hint("check that the name server runs and is not overloaded")
            }
            Failure::ClockSkew { ours, servers } => self.clock_skew(*ours, *servers),
            Failure::Hint { rcode, tsig } => self.unsigned(*rcode, *tsig),
            Failure::Forged(why) => Error::new(
                Class::Rejected,
                format!("an answer in the name of {server} was not accepted: {why}"),
            )
            .hint("something between here and the server tampers with DNS, or the server signs wrongly"),
            Failure::Internal(why) => Error::new(Class::Internal, why.clone()),
        }
    }

    /// An error for an authenticated refusal of an UPDATE.
    pub(super) fn refused(&self, rcode: ResponseCode) -> Error {
        let Story { server, names, .. } = self;
        let zone = plain(self.zone);
        match rcode {
            ResponseCode::Refused => {
                Error::new(Class::Auth, format!("{server} refused an update of {names}: REFUSED, signed"))
                    .hint(self.how_to_allow())
            }
            ResponseCode::NotAuth => {
                Error::new(Class::NotFound, format!("{server} is not authoritative for zone {zone}: NOTAUTH"))
                    .hint(format!(
                        "updates go to the primary of {zone}; check the zone's name and the server"
                    ))
            }
            ResponseCode::NotZone => Error::new(
                Class::Rejected,
                format!("{server} says that {names} lies outside zone {zone}: NOTZONE"),
            ),
            ResponseCode::ServFail => {
                Error::new(Class::Transient, format!("{server} failed on an update of {names}: SERVFAIL"))
                    .hint("its log says why; often its journal or zone file is not writable")
            }
            ResponseCode::NotImp => Error::new(
                Class::Rejected,
                format!("{server} does not take dynamic updates for zone {zone}: NOTIMP"),
            )
            .hint("a secondary may not forward updates; name the primary"),
            other => {
                Error::new(Class::Rejected, format!("{server} refused an update of {names}: {}", word(other)))
            }
        }
    }

    /// An error for BADKEY on an UPDATE when the same key has just signed a question that was answered: Knot says so
    /// when no ACL matches.
    pub(super) fn denied(&self) -> Error {
        let Story { server, key, names, .. } = self;
        Error::new(
            Class::Auth,
            format!(
                "{server} denied an update of {names}: BADKEY, although it answers questions signed with key {key}"
            ),
        )
        .hint(self.how_to_allow())
    }

    fn how_to_allow(&self) -> String {
        let (key, names, zone) = (&self.key, &self.names, plain(self.zone));
        format!(
            "allow the key {key} to change {names}: `update-policy` or `allow-update` of zone {zone} (BIND), `acl` with `action: update` (Knot)"
        )
    }

    fn clock_skew(&self, ours: u64, servers: Option<u64>) -> Error {
        let text = match servers {
            Some(theirs) => format!(
                "the clocks differ by {} s: {} UTC here, {} UTC at {} (BADTIME, signed)",
                ours.abs_diff(theirs),
                utc(ours),
                utc(theirs),
                self.server
            ),
            None => format!("{} says that our clock, {} UTC, is wrong (BADTIME)", self.server, utc(ours)),
        };
        Error::new(Class::Auth, text).hint("set both clocks by NTP; TSIG allows 300 s (RFC 8945 §10)")
    }

    fn unsigned(&self, rcode: ResponseCode, tsig: Option<TsigError>) -> Error {
        let Story { server, key, names, .. } = self;
        let zone = plain(self.zone);
        let (class, code, hint) = match (rcode, tsig) {
            (_, Some(TsigError::BadSig)) => (
                Class::Auth,
                "BADSIG".into(),
                format!("the secret of key {key} is another one at the server"),
            ),
            (_, Some(TsigError::BadKey)) => (
                Class::Auth,
                "BADKEY".into(),
                format!(
                    "the server has no key {key} (name and algorithm must both match), or, with Knot, no `acl` of zone {zone} lets it change {names}"
                ),
            ),
            (_, Some(TsigError::BadTime)) => {
                (Class::Auth, "BADTIME".into(), "set both clocks by NTP; TSIG allows 300 s".into())
            }
            (ResponseCode::NotAuth, _) => (
                Class::NotFound,
                "NOTAUTH".into(),
                format!(
                    "updates go to the primary of {zone}; check the zone's name and the server (PowerDNS also says so when the secret of key {key} is another one there)"
                ),
            ),
            (ResponseCode::Refused, _) => (
                Class::Auth,
                "REFUSED".into(),
                format!("the server may not serve {zone}, or not let key {key} change {names}"),
            ),
            (ResponseCode::ServFail, _) => {
                (Class::Transient, "SERVFAIL".into(), "the server's log says why".into())
            }
            (other, _) => {
                (Class::Rejected, word(other), "the server may not know TSIG or dynamic update".into())
            }
        };
        let text = format!(
            "{server} answered {code} for {names}, in an answer that is not signed, so anybody may have sent it (RFC 8945 §5.2)"
        );
        Error::new(class, text).hint(hint)
    }
}

/// The code as RFC 2136 §2.2 spells it.
pub(super) fn word(rcode: ResponseCode) -> String {
    match rcode {
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::YXDomain => "YXDOMAIN".into(),
        ResponseCode::YXRRSet => "YXRRSET".into(),
        ResponseCode::NXRRSet => "NXRRSET".into(),
        ResponseCode::NotAuth => "NOTAUTH".into(),
        ResponseCode::NotZone => "NOTZONE".into(),
        other => format!("RCODE {}", u16::from(other)),
    }
}

/// A name as people write it: no final dot.
pub(super) fn plain(name: &Name) -> String {
    let text = name.to_ascii();
    if text.len() > 1 { text.trim_end_matches('.').to_owned() } else { text }
}

/// Unix seconds as "2026-11-23 01:02:03".
fn utc(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(|| format!("{seconds} s"), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
