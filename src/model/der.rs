//! Just enough DER (X.690) to take key files apart and put them together. Certificates and CSRs are read by
//! x509-parser; private keys are not, because their bytes shall not be copied around.

/// INTEGER
pub(super) const INTEGER: u8 = 0x02;
/// BIT STRING
pub(super) const BIT_STRING: u8 = 0x03;
/// OCTET STRING
pub(super) const OCTET_STRING: u8 = 0x04;
/// NULL
pub(super) const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER
pub(super) const OID: u8 = 0x06;
/// SEQUENCE
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed: the parameters of an ECPrivateKey (RFC 5915 §3).
pub(super) const CONTEXT_0: u8 = 0xa0;

/// One element.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    /// Identifier octet.
    pub(super) tag: u8,
    /// Contents octets.
    pub(super) content: &'a [u8],
}

/// The first element of `input`, with what follows it; `None` when it is cut short or not DER.
pub(super) fn next(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Three length octets reach 16 MiB: more than any key or certificate.
        0x81..=0x83 => long_length(rest, usize::from(first - 0x80))?,
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, after))
}

/// The one element that `input` is; `None` when something follows or the tag is another.
pub(super) fn only(input: &[u8], tag: u8) -> Option<Element<'_>> {
    let (element, rest) = next(input)?;
    (rest.is_empty() && element.tag == tag).then_some(element)
}

/// The elements inside `content`, in order; `None` when one of them is broken.
pub(super) fn elements(mut content: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut found = Vec::new();
    while !content.is_empty() {
        let (element, rest) = next(content)?;
        found.push(element);
        content = rest;
    }
    Some(found)
}

/// An element with this tag, its contents the concatenation of `parts`.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> zeroize::Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    // Room for everything at once: a growing vector would leave copies of the key behind.
    let mut out = zeroize::Zeroizing::new(Vec::with_capacity(length + 6));
    out.push(tag);
    push_length(&mut out, length);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Whether this is SEQUENCE { SEQUENCE …, SEQUENCE { OBJECT IDENTIFIER … }, BIT STRING }, the shape of every
/// certificate (RFC 5280 §4.1) and CSR (RFC 2986 §4.2). x509-parser is lenient outside the signed part; CAs and TLS
/// clients are not.
pub(super) fn is_signed(input: &[u8]) -> bool {
    let parts = only(input, SEQUENCE).and_then(|outer| elements(outer.content)).unwrap_or_default();
    let tags: Vec<u8> = parts.iter().map(|part| part.tag).collect();
    tags == [SEQUENCE, SEQUENCE, BIT_STRING]
        && next(parts[1].content).is_some_and(|(algorithm, _)| algorithm.tag == OID)
}

/// Number of significant bits of an INTEGER's contents.
pub(super) fn bits(content: &[u8]) -> usize {
    let digits = &content[content.iter().take_while(|octet| **octet == 0).count()..];
    digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize)
}

fn long_length(input: &[u8], octets: usize) -> Option<(usize, &[u8])> {
    let (digits, rest) = input.split_at_checked(octets)?;
    let length = digits.iter().fold(0, |sum, octet| (sum << 8) | usize::from(*octet));
    // DER: the shortest form only.
    let shortest = length > 0x7f && digits.first() != Some(&0);
    shortest.then_some((length, rest))
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    if length < 0x80 {
        return out.push(length as u8);
    }
    let digits = length.to_be_bytes();
    let digits = &digits[digits.iter().take_while(|octet| **octet == 0).count()..];
    out.push(0x80 | digits.len() as u8);
    out.extend_from_slice(digits);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_length_form_come_back_whole() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let der = element(OCTET_STRING, &[&content]);
            let read = only(&der, OCTET_STRING).unwrap();
            assert_eq!(read.content, &content[..]);
        }
    }

    #[test]
    fn long_forms_of_short_lengths_are_not_der() {
        assert!(next(&[4, 0x81, 1, 9]).is_none());
        assert!(next(&[4, 0x82, 0, 1, 9]).is_none());
        assert!(next(&[4, 0x80, 9]).is_none());
    }

    #[test]
    fn bits_are_counted_without_leading_zeros() {
        assert_eq!(bits(&[0, 0x80, 0]), 16);
        assert_eq!(bits(&[1, 0]), 9);
        assert_eq!(bits(&[0]), 0);
    }
}
