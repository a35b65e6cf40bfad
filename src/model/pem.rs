//! PEM (RFC 7468), read leniently and written strictly. Our own reader, because a key file that cannot be used
//! shall be named for what it is ("ENCRYPTED PRIVATE KEY") instead of being skipped.

use super::key::KeyError;
use data_encoding::BASE64;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// The longest label that anybody writes has half as many characters; a key on one line is longer, and must not be told.
const LONGEST_LABEL: usize = 60;
/// RFC 7468 §2: generators wrap at exactly 64 characters.
const WIDTH: usize = 64;

/// One `-----BEGIN LABEL-----` block.
pub(super) struct Section {
    /// The label between the dashes.
    pub(super) label: String,
    /// What the base64 stands for; wiped when dropped, it may be a private key.
    pub(super) der: Zeroizing<Vec<u8>>,
    /// A `Proc-Type: 4,ENCRYPTED` header (RFC 1421 §4.6.1.1) says that `der` is encrypted.
    pub(super) encrypted: bool,
}

/// Whether these bytes are PEM at all (DER otherwise).
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// All blocks, in order. Text between them is ignored (RFC 7468 §5.2), as `openssl x509 -text` writes it.
pub(super) fn sections(bytes: &[u8]) -> Result<Vec<Section>, KeyError> {
    let mut found = Vec::new();
    let mut lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r'));
    while let Some(line) = lines.next() {
        if let Some(label) = label_of(line, BEGIN) {
            found.push(section(label, &mut lines)?);
        } else if line.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes()) {
            // What else is on that line may be a private key.
            return Err(KeyError::malformed(
                "a PEM block",
                "its BEGIN line holds more: line breaks were lost",
            ));
        }
    }
    Ok(found)
}

/// One block of PEM.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(BASE64.encode(der));
    // Room for everything at once: a growing string would leave copies of a key behind.
    let mut out = Zeroizing::new(String::with_capacity(base64.len() * 66 / WIDTH + 2 * label.len() + 40));
    out.push_str(&format!("{BEGIN}{label}{DASHES}\n"));
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(WIDTH));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("{END}{label}{DASHES}\n"));
    out
}

/// Reads on until the END line of `label`.
fn section<'a>(label: String, lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<Section, KeyError> {
    let mut body: Vec<&[u8]> = Vec::new();
    for line in lines {
        if let Some(end) = label_of(line, END) {
            return finish(label, end, &body);
        }
        body.push(line);
    }
    Err(KeyError::malformed(format!("the PEM block \"{label}\""), "its END line is missing"))
}

fn finish(label: String, end: String, body: &[&[u8]]) -> Result<Section, KeyError> {
    let what = format!("the PEM block \"{label}\"");
    if end != label {
        return Err(KeyError::malformed(what, format!("it ends as \"{end}\"")));
    }
    // Headers of RFC 1421 have a colon; base64 has none.
    let (headers, lines): (Vec<&[u8]>, Vec<&[u8]>) = body.iter().partition(|line| line.contains(&b':'));
    let encrypted =
        headers.iter().any(|line| line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"));
    match BASE64.decode(&base64_of(&lines)) {
        Ok(der) => Ok(Section { label, der: Zeroizing::new(der), encrypted }),
        Err(_) => Err(KeyError::malformed(what, "it is not base64")),
    }
}

fn base64_of(lines: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    // Room for everything at once: a growing vector would leave copies of a key behind.
    let mut base64 = Zeroizing::new(Vec::with_capacity(lines.iter().map(|line| line.len()).sum()));
    base64.extend(lines.iter().copied().flatten().filter(|byte| !byte.is_ascii_whitespace()));
    base64
}

/// The label of a BEGIN or END line. Labels are told to people: nothing passes for one that could be base64 of a secret.
fn label_of(line: &[u8], prefix: &str) -> Option<String> {
    let line = std::str::from_utf8(line.trim_ascii()).ok()?;
    // A byte order mark may stand before the first line.
    let label = line.trim_start_matches('\u{feff}').strip_prefix(prefix)?.strip_suffix(DASHES)?;
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, ' ' | '.');
    (label.len() <= LONGEST_LABEL && label.chars().all(plain)).then(|| label.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for length in [0, 1, 47, 48, 49, 200] {
            let der = vec![0xa5; length];
            let text = encode("PUBLIC KEY", &der);
            assert!(text.lines().all(|line| line.len() <= WIDTH));
            let read = sections(text.as_bytes()).unwrap();
            assert_eq!((read[0].label.as_str(), &read[0].der[..]), ("PUBLIC KEY", &der[..]));
        }
    }

    #[test]
    fn text_around_blocks_and_windows_line_ends_are_fine() {
        let text = "\u{feff}-----BEGIN A-----\r\nAAEC\r\n-----END A-----\r\nhello: world\r\n-----BEGIN B-----\nAw==\n-----END B-----";
        let read = sections(text.as_bytes()).unwrap();
        assert_eq!(read.iter().map(|s| &s.der[..]).collect::<Vec<_>>(), [&[0, 1, 2][..], &[3][..]]);
    }

    #[test]
    fn a_block_without_end_is_refused_by_name() {
        let error = sections(b"-----BEGIN CERTIFICATE-----\nAAEC\n").err().unwrap();
        assert_eq!(error.to_string(), "the PEM block \"CERTIFICATE\" is broken: its END line is missing");
    }

    #[test]
    fn a_key_whose_line_breaks_were_lost_is_refused_without_a_word_of_it() {
        let key = encode("PRIVATE KEY", &[0xa5; 138]);
        for joint in ["", " ", "\\n"] {
            let one = key.trim_end().replace('\n', joint);
            let after_another = format!("-----BEGIN A-----\nAAEC\n-----END A-----\n{one}\n");
            let unfinished = format!("-----BEGIN A-----\nAAEC\n{one}\n-----END {}\n", &one[27..]);
            for text in [one.clone(), after_another, unfinished] {
                let error = sections(text.as_bytes()).err().unwrap().to_string();
                assert!(!error.contains("paWl"), "{error}");
            }
        }
    }

    #[test]
    fn a_legacy_encryption_header_is_seen() {
        let text = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAEC\n-----END RSA PRIVATE KEY-----\n";
        assert!(sections(text).unwrap()[0].encrypted);
    }
}
