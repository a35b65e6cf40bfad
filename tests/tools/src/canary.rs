//! Finds secrets where they must not be: logs, reports, state, traces.
//!
//! A secret is cut into all its fragments of eight bytes; each is looked for raw, in hex (both cases) and in base64
//! (both alphabets, all three alignments, so padding does not matter). Whatever holds a whole encoded secret, or
//! eight bytes of it in a row, is found. The secret itself is never printed.

use std::collections::HashMap;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

/// The shortest piece of a secret that counts, bytes.
pub const FRAGMENT: usize = 8;
/// A fragment with fewer different bytes than this occurs everywhere (padding, zeros) and says nothing.
const VARIETY: usize = 4;
/// Characters of base64 that depend on a fragment alone, whatever its alignment.
const BASE64_CORE: usize = 10;

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Byte offset in what was searched.
    pub offset: usize,
    /// The name the secret was given.
    pub secret: String,
    /// In which form: `raw`, `hex` or `base64`.
    pub form: &'static str,
}

/// The fragments to look for.
#[derive(Debug, Default)]
pub struct Canary {
    needles: HashMap<Vec<u8>, (usize, &'static str)>,
    names: Vec<String>,
}

impl Canary {
    /// Adds the content of a secret file: its text, the bytes of its PEM blocks, and what the text says in base64.
    /// Fragments that occur in `public` (a certificate holds the public half of its key) are left out.
    ///
    /// # Errors
    /// The secret is too short to look for.
    pub fn add(&mut self, name: &str, content: &[u8], public: &[Vec<u8>]) -> Result<(), String> {
        let secrets = forms(content);
        if secrets.iter().all(|secret| secret.len() < FRAGMENT) {
            return Err(format!("{name}: shorter than {FRAGMENT} bytes"));
        }
        self.names.push(name.to_owned());
        let known: Vec<Vec<u8>> = public.iter().flat_map(|file| forms(file)).collect();
        for fragment in secrets.iter().flat_map(|secret| secret.windows(FRAGMENT)) {
            let told = known.iter().any(|public| public.windows(FRAGMENT).any(|window| window == fragment));
            if !told && varied(fragment) {
                self.add_fragment(fragment);
            }
        }
        Ok(())
    }

    /// Where fragments occur; of a run of neighbouring hits of one secret only the first.
    pub fn search(&self, haystack: &[u8]) -> Vec<Hit> {
        let mut hits: Vec<(usize, usize, &'static str)> = Vec::new();
        for length in [FRAGMENT, BASE64_CORE, 2 * FRAGMENT] {
            for (offset, window) in haystack.windows(length).enumerate() {
                if let Some(&(secret, form)) = self.needles.get(window) {
                    hits.push((offset, secret, form));
                }
            }
        }
        hits.sort_unstable();
        let mut last = None;
        hits.retain(|&(offset, secret, form)| {
            let run = last.replace((offset, secret, form));
            run.is_none_or(|(before, s, f)| (s, f) != (secret, form) || offset > before + 2 * FRAGMENT)
        });
        hits.into_iter()
            .map(|(offset, secret, form)| Hit { offset, secret: self.names[secret].clone(), form })
            .collect()
    }

    fn add_fragment(&mut self, fragment: &[u8]) {
        let secret = self.names.len() - 1;
        let mut add = |needle: Vec<u8>, form| {
            self.needles.entry(needle).or_insert((secret, form));
        };
        add(fragment.to_vec(), "raw");
        add(HEXLOWER.encode(fragment).into_bytes(), "hex");
        add(HEXUPPER.encode(fragment).into_bytes(), "hex");
        for alignment in 0..3 {
            let shifted = [vec![0; alignment], fragment.to_vec()].concat();
            // a character carries six bits: skip those that hold bits of what stands before the fragment
            let first = (alignment * 8).div_ceil(6);
            for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
                let text = encoding.encode(&shifted).into_bytes();
                add(text[first..first + BASE64_CORE].to_vec(), "base64");
            }
        }
    }
}

/// The byte strings that one file stands for.
fn forms(content: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(content);
    if text.contains("-----BEGIN ") {
        return pem_bodies(&text);
    }
    let trimmed = content.trim_ascii().to_vec();
    let decoded = BASE64.decode(&trimmed).ok().filter(|bytes| bytes.len() >= FRAGMENT);
    [Some(trimmed), decoded].into_iter().flatten().collect()
}

/// The DER of each PEM block (RFC 7468); its text is found as base64 of that.
fn pem_bodies(text: &str) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    let mut body: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN ") {
            body = Some(String::new());
        } else if line.starts_with("-----END ") {
            bodies.extend(body.take().and_then(|body| BASE64.decode(body.as_bytes()).ok()));
        } else if let Some(body) = &mut body {
            body.push_str(line);
        }
    }
    bodies
}

fn varied(fragment: &[u8]) -> bool {
    let mut bytes = fragment.to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len() >= VARIETY
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"correct horse battery staple";

    fn forms_of(haystack: &[u8]) -> Vec<&'static str> {
        let mut canary = Canary::default();
        canary.add("s", SECRET, &[]).unwrap_or_default();
        canary.search(haystack).into_iter().map(|hit| hit.form).collect()
    }

    #[test]
    fn a_secret_is_found_raw_and_in_part() {
        assert_eq!(forms_of(b"log: correct horse battery staple."), ["raw"]);
        assert_eq!(forms_of(b"log: t horse b"), ["raw"], "nine bytes of it");
        assert_eq!(forms_of(b"log: ct horse"), ["raw"], "eight");
        assert!(forms_of(b"log: t hors").is_empty(), "six are too few");
    }

    #[test]
    fn a_secret_is_found_in_hex_of_both_cases() {
        assert_eq!(forms_of(HEXLOWER.encode(SECRET).as_bytes()), ["hex"]);
        assert_eq!(forms_of(HEXUPPER.encode(SECRET).as_bytes()), ["hex"]);
    }

    #[test]
    fn a_secret_is_found_in_base64_at_every_alignment() {
        for before in ["", "x", "xy", "xyz"] {
            for after in ["", "1", "12", "123"] {
                let whole = [before.as_bytes(), SECRET, after.as_bytes()].concat();
                for encoding in [BASE64, BASE64_NOPAD, BASE64URL_NOPAD, data_encoding::BASE64URL] {
                    let text = format!("token={}", encoding.encode(&whole));
                    assert_eq!(forms_of(text.as_bytes()), ["base64"], "{before}|{after}");
                }
            }
        }
    }

    #[test]
    fn the_bytes_behind_a_base64_secret_are_secret_too() {
        let mut canary = Canary::default();
        let file = BASE64.encode(SECRET) + "\n";
        canary.add("tsig", file.as_bytes(), &[]).unwrap_or_default();
        assert_eq!(canary.search(SECRET).len(), 1);
        assert!(!canary.search(file.as_bytes()).is_empty());
    }

    #[test]
    fn the_armour_of_a_pem_file_is_no_secret_and_its_content_is() {
        let pem = |label: &str, der: &[u8]| {
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der))
        };
        let mut canary = Canary::default();
        canary.add("key", pem("PRIVATE KEY", SECRET).as_bytes(), &[]).unwrap_or_default();
        assert!(canary.search(pem("PRIVATE KEY", b"another key, all of it").as_bytes()).is_empty());
        assert_eq!(canary.search(pem("PRIVATE KEY", SECRET).as_bytes())[0].form, "base64");
    }

    #[test]
    fn what_a_certificate_tells_anyway_is_no_secret() {
        let mut canary = Canary::default();
        let public = b"xxxx correct horse battery yyyy".to_vec();
        canary.add("key", SECRET, &[public]).unwrap_or_default();
        assert!(canary.search(b"... correct horse battery ...").is_empty());
        assert_eq!(canary.search(b"... battery staple")[0].form, "raw");
    }

    #[test]
    fn a_secret_too_short_to_look_for_is_refused() {
        assert!(Canary::default().add("pin", b"1234\n", &[]).is_err());
    }
}
