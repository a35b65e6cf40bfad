//! Problem documents (RFC 7807, RFC 8555 §6.7): what the CA refused, told so that an administrator can act.

use crate::error::Kind;
use serde::Deserialize;

const PREFIX: &str = "urn:ietf:params:acme:error:";

/// Room for a hundred refused names with their reasons; more would bury the message (our choice).
const LONGEST_SENTENCE: usize = 8000;

/// One problem; members of an unexpected form make the document unreadable, absent ones do not.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: Option<String>,
    detail: Option<String>,
    /// userActionRequired: the page to visit (RFC 8555 §7.3.3).
    pub(super) instance: Option<String>,
    identifier: Option<Identifier>,
    subproblems: Vec<Problem>,
}

/// RFC 8555 §7.1.3.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Identifier {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) value: String,
}

impl Problem {
    /// The problem in a body, when it is one.
    pub(super) fn parse(body: &[u8]) -> Option<Problem> {
        let problem: Problem = serde_json::from_slice(body).ok()?;
        (!problem.kind.is_empty() || problem.detail.is_some() || problem.title.is_some()).then_some(problem)
    }

    /// The type without RFC 8555's prefix: `badNonce`.
    pub(super) fn word(&self) -> &str {
        self.kind.strip_prefix(PREFIX).unwrap_or(&self.kind)
    }

    /// Whether the type is the one of RFC 8555 §6.7 called `word`.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind.strip_prefix(PREFIX) == Some(word)
    }

    /// One sentence, with every subproblem and the identifier it is about (RFC 8555 §6.7.1).
    pub(super) fn sentence(&self) -> String {
        shortened(&self.told(), LONGEST_SENTENCE)
    }

    fn told(&self) -> String {
        let mut text = String::new();
        if let Some(identifier) = self.identifier.as_ref().filter(|identifier| !identifier.value.is_empty()) {
            text = format!("{}: ", shortened(&identifier.value, 253));
        }
        match self.detail.as_deref().or(self.title.as_deref()).filter(|detail| !detail.is_empty()) {
            Some(detail) => text.push_str(&format!("“{}” ({})", shortened(detail, 600), self.shown_word())),
            None => text.push_str(&self.shown_word()),
        }
        for problem in self.subproblems.iter().take(100) {
            text.push_str("; ");
            text.push_str(&problem.told());
        }
        text
    }

    fn shown_word(&self) -> String {
        if self.word().is_empty() { "no type".into() } else { shortened(self.word(), 100) }
    }

    /// Whose move it is.
    pub(super) fn error_kind(&self) -> Kind {
        match self.word() {
            "unauthorized"
            | "accountDoesNotExist"
            | "userActionRequired"
            | "badPublicKey"
            | "badSignatureAlgorithm" => Kind::Credentials,
            "externalAccountRequired" | "invalidContact" | "unsupportedContact" => Kind::Config,
            _ => Kind::Remote,
        }
    }

    /// What to do next, one sentence.
    pub(super) fn hint(&self) -> Option<&'static str> {
        Some(match self.word() {
            "accountDoesNotExist" => {
                "the CA no longer knows the account: run `danesmith account register`, or give the key of the account you have"
            }
            "unauthorized" => {
                "check that the account is valid and that this key and account URL belong together"
            }
            "userActionRequired" => "a person must visit the CA's page and agree, then try again",
            "badPublicKey" | "badSignatureAlgorithm" => {
                "use another account key: P-256 is accepted everywhere"
            }
            "externalAccountRequired" => {
                "put the key identifier and MAC key from the CA's website under `eab`"
            }
            "invalidContact" | "unsupportedContact" => {
                "correct the account's `contact`: `mailto:` and one address each"
            }
            "rejectedIdentifier" => {
                "this CA will not issue for the name: check its spelling and the CA's policy"
            }
            "unsupportedIdentifier" => "this CA does not issue for this sort of name",
            "badCSR" => {
                "check that the CSR has exactly the certificate's names and a key type the CA accepts"
            }
            "caa" => "allow this CA in the zone's CAA records (issue, and issuewild for wildcards)",
            "dns" => {
                "the CA could not look the name up: check delegation, DNSSEC and that every name server answers"
            }
            "incorrectResponse" => {
                "the CA saw another TXT value at _acme-challenge: look for a server that lags behind"
            }
            "connection" | "tls" => {
                "the CA could not reach our side; for dns-01 that is the zone's name servers"
            }
            "rateLimited" => "the CA limits how often this may be asked: wait before the next try",
            "serverInternal" => "the CA has trouble of its own: try again later",
            "badNonce" => {
                "something between us and the CA answers from a cache, or the CA has trouble: try again later"
            }
            "alreadyRevoked" => "the certificate is revoked already: nothing is left to do",
            "badRevocationReason" => "choose another revocation reason",
            "orderNotReady" => "not all authorizations are valid yet: run again",
            "malformed" => {
                "the CA did not understand the request: has the account got another key? else report it, with what -vv tells"
            }
            _ => return None,
        })
    }
}

/// A peer's text made safe for a terminal and a log: one line, no control or direction characters, at most `longest`
/// characters.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_unsafe(*c));
    let clean: String = spaced.take(longest * 4 + 1000).collect();
    let mut words = clean.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(longest) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// Controls (Unicode Cc), and the format characters that reorder or hide text (Unicode TR 36 §2.5).
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::{Problem, shortened};
    use crate::error::Kind;

    #[test]
    fn subproblems_name_their_identifiers() {
        let body = br#"{"type":"urn:ietf:params:acme:error:malformed","detail":"Some were rejected","subproblems":[
            {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"no","identifier":{"type":"dns","value":"a.example"}},
            {"type":"urn:ietf:params:acme:error:caa","identifier":{"type":"dns","value":"b.example"}}]}"#;
        let problem = Problem::parse(body).unwrap();
        assert_eq!(
            problem.sentence(),
            "“Some were rejected” (malformed); a.example: “no” (rejectedIdentifier); b.example: caa"
        );
        assert_eq!(problem.error_kind(), Kind::Remote);
    }

    #[test]
    fn a_peers_text_cannot_steer_the_terminal() {
        let text = "red \u{1b}[31m\u{202e}evil\r\n\tnext\u{0}";
        assert_eq!(shortened(text, 100), "red [31mevil next");
        assert_eq!(shortened("abcdef", 3), "abc…");
    }

    #[test]
    fn html_is_no_problem_document() {
        assert!(Problem::parse(b"<html>").is_none());
        assert!(Problem::parse(b"{}").is_none());
        assert!(Problem::parse(br#"{"type":7}"#).is_none());
    }
}
