//! What a foreign program says, made fit for logs and errors: no secret, no terminal control, no end without end.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use std::fmt::Write;
use zeroize::Zeroizing;

/// Longest line that is shown, characters; our choice: several lines of a terminal.
const MAX_SHOWN: usize = 600;

/// Knows the secrets that were handed out, in the spellings in which a careless program repeats them.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// Longest first, so that no secret leaves a rest of one that contains it.
    needles: Vec<Zeroizing<String>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secrets]")
    }
}

impl Redactor {
    /// As it is, line by line, in JSON, percent-encoded, in base64.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            needles.extend([
                secret.to_owned(),
                json(secret),
                percent(secret),
                BASE64.encode(secret.as_bytes()),
                BASE64URL_NOPAD.encode(secret.as_bytes()),
            ]);
            needles.extend(secret.lines().map(str::to_owned));
        }
        needles.retain(|needle| !needle.trim().is_empty());
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        needles.dedup();
        Redactor { needles: needles.into_iter().map(Zeroizing::new).collect() }
    }

    /// Octets of the longest spelling: as much may be left of a secret at the end of a line that was cut.
    pub(crate) fn longest(&self) -> usize {
        self.needles.first().map_or(0, |needle| needle.len())
    }

    /// One line without secrets and control characters, at most 600 characters.
    pub(crate) fn clean(&self, text: &str) -> String {
        let mut text = Zeroizing::new(text.to_owned());
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = Zeroizing::new(text.replace(needle.as_str(), "[secret]"));
            }
        }
        let shown = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut shown: String = shown.take(MAX_SHOWN + 1).collect();
        if shown.chars().count() > MAX_SHOWN {
            shown.pop();
            shown.push('…');
        }
        shown
    }

    /// The same for octets that may be no text and may have been cut at the end.
    pub(crate) fn clean_bytes(&self, line: &[u8], cut: bool) -> String {
        let keep = if cut { line.len().saturating_sub(self.longest()) } else { line.len() };
        self.clean(&String::from_utf8_lossy(line.get(..keep).unwrap_or_default()))
    }
}

fn json(text: &str) -> String {
    serde_json::to_string(text).map(|json| json.trim_matches('"').to_owned()).unwrap_or_default()
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(octet));
            }
            // Writing into a String cannot fail.
            _ => drop(write!(encoded, "%{octet:02X}")),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_the_spellings_programs_use() {
        let redactor = Redactor::new(["p&ss\"w0rd/", "line one\nline two"]);
        for said in [
            "login with p&ss\"w0rd/ failed",
            r#"{"password":"p&ss\"w0rd/"}"#,
            "GET /?p=p%26ss%22w0rd%2F",
            &format!("Authorization: {}", BASE64.encode(b"p&ss\"w0rd/")),
            "at line two",
        ] {
            let shown = redactor.clean(said);
            assert!(shown.contains("[secret]"), "{shown}");
            assert!(!shown.contains("w0rd") && !shown.contains("line two"), "{shown}");
        }
    }

    #[test]
    fn a_secret_within_another_leaves_no_rest() {
        assert_eq!(Redactor::new(["abc", "abcdef"]).clean("abcdef abc"), "[secret] [secret]");
    }

    #[test]
    fn a_cut_line_does_not_end_within_a_secret() {
        let redactor = Redactor::new(["hunter2hunter2"]);
        let shown = redactor.clean_bytes(b"the password is hunter2hun", true);
        assert!(!shown.contains("hunter"), "{shown}");
        assert_eq!(redactor.clean_bytes(b"all is well", false), "all is well");
    }

    #[test]
    fn control_characters_and_endless_lines_do_not_reach_the_terminal() {
        let redactor = Redactor::default();
        assert_eq!(redactor.clean("a\u{1b}[2Jb\tc"), "a [2Jb c");
        assert_eq!(redactor.clean(&"x".repeat(10_000)).chars().count(), MAX_SHOWN + 1);
    }
}
