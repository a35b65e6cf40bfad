//! Names and values as text: what plugins read and write. Presentation format of RFC 1035 §5.1 and RFC 6698 §2.2, in
//! one canonical spelling: TXT quoted, TLSA in lower-case hex.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hickory_proto::rr::rdata::{TLSA, TXT};
use hickory_proto::rr::{Name, RData, RecordType};
use std::fmt::Write;

/// Longest character-string, octets (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

/// Lower case, A-labels, no final dot.
pub(crate) fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    if text.len() > 1 { text.trim_end_matches('.').to_owned() } else { text }
}

/// The value in canonical spelling; `None` for a type that plugins do not handle.
pub(crate) fn to_text(value: &RData) -> Option<String> {
    match value {
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(" ")),
        RData::TLSA(tlsa) => Some(format!(
            "{} {} {} {}",
            u8::from(tlsa.cert_usage),
            u8::from(tlsa.selector),
            u8::from(tlsa.matching),
            HEXLOWER.encode(&tlsa.cert_data)
        )),
        _ => None,
    }
}

/// Reads a value. Hex in any case and in pieces is accepted, and so is TXT without quotes.
///
/// Errors: why it is no value of this type.
pub(crate) fn parse(rtype: RecordType, text: &str) -> Result<RData, String> {
    match rtype {
        RecordType::TXT => strings(text).map(|strings| {
            let pieces = strings.iter().flat_map(|string| pieces(string)).collect();
            RData::TXT(TXT::from_bytes(pieces))
        }),
        RecordType::TLSA => tlsa(text),
        other => Err(format!("type {other} is not supported")),
    }
}

/// The same value: TLSA by content, TXT by the concatenation of its character-strings, which servers may split anew.
pub(crate) fn same(one: &RData, other: &RData) -> bool {
    match (one, other) {
        (RData::TXT(one), RData::TXT(other)) => one.txt_data.concat() == other.txt_data.concat(),
        _ => one == other,
    }
}

pub(crate) fn holds(values: &[RData], value: &RData) -> bool {
    values.iter().any(|standing| same(standing, value))
}

fn quoted(string: &[u8]) -> String {
    let mut text = String::with_capacity(string.len() + 2);
    text.push('"');
    for octet in string {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(*octet)]),
            b' '..=b'~' => text.push(char::from(*octet)),
            // Writing into a String cannot fail.
            other => drop(write!(text, "\\{other:03}")),
        }
    }
    text.push('"');
    text
}

/// Character-strings, quoted or separated by blanks, with `\X` and `\DDD` (RFC 1035 §5.1).
fn strings(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut strings = Vec::new();
    let mut octets = text.bytes().peekable();
    loop {
        while octets.next_if(|octet| octet.is_ascii_whitespace()).is_some() {}
        let Some(first) = octets.peek() else { break };
        let quote = *first == b'"';
        if quote {
            octets.next();
        }
        let mut string = Vec::new();
        loop {
            match octets.next() {
                Some(b'"') if quote => break,
                None if quote => return Err("a quotation mark is missing".to_owned()),
                None => break,
                Some(b'\\') => string.push(escaped(&mut octets)?),
                Some(octet) if !quote && octet.is_ascii_whitespace() => break,
                Some(octet) => string.push(octet),
            }
        }
        strings.push(string);
    }
    if strings.is_empty() { Err("it is empty".to_owned()) } else { Ok(strings) }
}

fn escaped(octets: &mut impl Iterator<Item = u8>) -> Result<u8, String> {
    let digit = |octet: Option<u8>| {
        octet.filter(u8::is_ascii_digit).map(|d| u16::from(d - b'0')).ok_or("a \\DDD escape is cut short")
    };
    match octets.next() {
        None => Err("it ends with a backslash".to_owned()),
        Some(first) if first.is_ascii_digit() => {
            let number = digit(Some(first))? * 100 + digit(octets.next())? * 10 + digit(octets.next())?;
            u8::try_from(number).map_err(|_| format!("\\{number} is no octet"))
        }
        Some(other) => Ok(other),
    }
}

/// Hosts hand out long TXT values as one string; a record cannot hold it so.
fn pieces(string: &[u8]) -> Vec<&[u8]> {
    if string.is_empty() { vec![string] } else { string.chunks(MAX_STRING).collect() }
}

fn tlsa(text: &str) -> Result<RData, String> {
    let mut words = text.split_ascii_whitespace();
    let mut number = |what: &str| {
        let word = words.next().ok_or_else(|| format!("the {what} is missing"))?;
        word.parse::<u8>().map_err(|_| format!("the {what} is no number below 256"))
    };
    let (usage, selector, matching) =
        (number("certificate usage")?, number("selector")?, number("matching type")?);
    let hex: String = words.collect();
    let data = HEXLOWER_PERMISSIVE
        .decode(hex.as_bytes())
        .map_err(|_| "the association data is no hex".to_owned())?;
    if data.is_empty() {
        return Err("the association data is missing".to_owned());
    }
    Ok(RData::TLSA(TLSA::new(usage.into(), selector.into(), matching.into(), data)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spelled(rtype: RecordType, text: &str) -> String {
        to_text(&parse(rtype, text).unwrap()).unwrap()
    }

    #[test]
    fn every_spelling_of_a_value_becomes_the_canonical_one() {
        for (text, canonical) in [
            (r#""abc""#, r#""abc""#),
            ("abc", r#""abc""#),
            (r#""a b"  "c""#, r#""a b" "c""#),
            (r#""\065\"\\\200""#, r#""A\"\\\200""#),
            (r#""""#, r#""""#),
        ] {
            assert_eq!(spelled(RecordType::TXT, text), canonical);
        }
        assert_eq!(spelled(RecordType::TLSA, "3 1 1  AbCd EF"), "3 1 1 abcdef");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["", "\"a", "\\", "\"\\9\"", "\"\\256\""] {
            assert!(parse(RecordType::TXT, text).is_err(), "{text}");
        }
        for text in ["", "3 1 1", "3 1 1 0", "3 1 1 xx", "256 1 1 00", "-3 1 1 00", "3 1 00"] {
            assert!(parse(RecordType::TLSA, text).is_err(), "{text}");
        }
        assert!(parse(RecordType::A, "192.0.2.1").is_err());
    }

    #[test]
    fn a_long_string_is_split_and_still_the_same_value() {
        let long = "x".repeat(600);
        let split = parse(RecordType::TXT, &long).unwrap();
        let RData::TXT(txt) = &split else { unreachable!() };
        assert_eq!(txt.txt_data.iter().map(|s| s.len()).collect::<Vec<_>>(), [255, 255, 90]);
        let anew = format!("\"{}\" \"{}\" \"{}\"", &long[..200], &long[..200], &long[..200]);
        assert!(same(&split, &parse(RecordType::TXT, &anew).unwrap()));
        assert!(!same(&split, &parse(RecordType::TXT, &long[1..]).unwrap()));
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(plain(&Name::from_ascii("_25._tcp.MX.Example.org.").unwrap()), "_25._tcp.mx.example.org");
    }
}
