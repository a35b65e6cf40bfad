//! Values between rdata and the texts of APIs: TXT in quotes and chunks (RFC 1035 §3.3, §5.1), TLSA with canonical hex
//! (RFC 6698 §2.2), and JSON and XML as values of expressions.

use super::spec::TxtForm;
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{TLSA, TXT};
use hickory_proto::rr::{RData, RecordType};
use minijinja::value::Value;

/// Octets of one character-string (RFC 1035 §3.3).
const CHUNK: usize = 255;

/// A value in presentation form: TXT quoted, TLSA in lower-case hex.
pub(super) fn text(value: &RData) -> String {
    match value {
        RData::TXT(txt) => {
            let chunks = txt.txt_data.iter().map(|chunk| quoted(chunk));
            chunks.collect::<Vec<_>>().join(" ")
        }
        RData::TLSA(tlsa) => format!(
            "{} {} {} {}",
            u8::from(tlsa.cert_usage),
            u8::from(tlsa.selector),
            u8::from(tlsa.matching),
            super::crypto::hex(&tlsa.cert_data)
        ),
        other => other.to_string(),
    }
}

/// Reads what an API gave for a value of that type.
pub(super) fn parse(rtype: RecordType, text: &str, form: TxtForm) -> Option<RData> {
    match rtype {
        RecordType::TXT => {
            let octets = match form {
                TxtForm::Raw => text.as_bytes().to_vec(),
                TxtForm::Either if !text.trim_start().starts_with('"') => text.as_bytes().to_vec(),
                _ => character_strings(text)?,
            };
            Some(txt(&octets))
        }
        RecordType::TLSA => tlsa(text),
        _ => None,
    }
}

/// The octets of a TXT value as one chain; how they were cut says nothing.
pub(super) fn octets(value: &RData) -> Option<Vec<u8>> {
    match value {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    }
}

/// A TXT value cut as servers do it: 255 octets each.
pub(super) fn txt(octets: &[u8]) -> RData {
    let chunks: Vec<&[u8]> = if octets.is_empty() { vec![&[]] } else { octets.chunks(CHUNK).collect() };
    RData::TXT(TXT::from_bytes(chunks))
}

/// The same value, whoever wrote it down.
pub(super) fn canonical(value: &RData) -> RData {
    octets(value).map_or_else(|| value.clone(), |octets| txt(&octets))
}

/// The variables `txt` and `tlsa` of a value.
pub(super) fn parts(value: &RData) -> (Value, Value) {
    match value {
        RData::TXT(_) => {
            let octets = octets(value).unwrap_or_default();
            (Value::from(String::from_utf8_lossy(&octets)), Value::from(()))
        }
        RData::TLSA(tlsa) => {
            let members = [
                ("usage", Value::from(u8::from(tlsa.cert_usage))),
                ("selector", Value::from(u8::from(tlsa.selector))),
                ("matching", Value::from(u8::from(tlsa.matching))),
                ("data", Value::from(super::crypto::hex(&tlsa.cert_data))),
            ];
            (Value::from(()), Value::from_pairs(members))
        }
        _ => (Value::from(()), Value::from(())),
    }
}

/// For templates: the text of a quoted value; anything else as it is.
pub(super) fn unquoted(text: &str) -> String {
    if !text.trim_start().starts_with('"') {
        return text.to_owned();
    }
    character_strings(text)
        .map_or_else(|| text.to_owned(), |octets| String::from_utf8_lossy(&octets).into_owned())
}

fn quoted(octets: &[u8]) -> String {
    let mut out = String::from("\"");
    for octet in octets {
        match octet {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*octet));
            }
            b' '..=b'~' => out.push(char::from(*octet)),
            other => out.push_str(&format!("\\{other:03}")),
        }
    }
    out.push('"');
    out
}

/// RFC 1035 §5.1: character-strings with or without quotes, `\X` and `\DDD`.
fn character_strings(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut octets = text.bytes();
    let mut inside = false;
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => inside = !inside,
            b' ' | b'\t' if !inside => {}
            b'\\' => out.push(unescaped(&mut octets)?),
            other => out.push(other),
        }
    }
    (!inside).then_some(out)
}

fn unescaped(octets: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, octets.next()?, octets.next()?];
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// "3 1 1 AB cd": hex in any case, in pieces or not.
fn tlsa(text: &str) -> Option<RData> {
    let mut parts = text.split_whitespace();
    let mut number = || parts.next()?.parse::<u8>().ok();
    let (usage, selector, matching) = (number()?, number()?, number()?);
    let hex: String = parts.collect::<String>().to_ascii_lowercase();
    let data = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok().filter(|data| !data.is_empty())?;
    Some(RData::TLSA(TLSA::new(
        CertUsage::from(usage),
        Selector::from(selector),
        Matching::from(matching),
        data,
    )))
}

/// JSON as a value of expressions.
pub(super) fn from_json(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => Value::from(number),
            (None, Some(number), _) => Value::from(number),
            (None, None, float) => Value::from(float.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(from_json).collect::<Vec<_>>().into(),
        Json::Object(members) => {
            Value::from_pairs(members.iter().map(|(name, value)| (name.as_str(), from_json(value))))
        }
    }
}

/// XML as a value: an element with children or attributes is a mapping (attributes as `@name`), equal names make a list,
/// others are text; namespaces are dropped. A document type is passed over, its entities stay unknown.
pub(super) fn from_xml(text: &str) -> Option<Value> {
    let text = match text.split_once("<!DOCTYPE") {
        Some((head, rest)) => {
            let inner = rest.find('[').filter(|at| rest.find('>').is_none_or(|end| *at < end));
            let end = if inner.is_some() { rest.find("]>")? + 2 } else { rest.find('>')? + 1 };
            format!("{head}{}", rest.get(end..)?)
        }
        None => text.to_owned(),
    };
    let document = roxmltree::Document::parse(&text).ok()?;
    Some(from_element(document.root_element(), 0))
}

/// Deeper nesting than any API has. Our choice, for the stack.
const DEEPEST: usize = 64;

fn from_element(element: roxmltree::Node<'_, '_>, depth: usize) -> Value {
    let children: Vec<_> = element.children().filter(|child| child.is_element()).collect();
    if (children.is_empty() && element.attributes().len() == 0) || depth > DEEPEST {
        return Value::from(element.text().unwrap_or_default());
    }
    let mut names: Vec<&str> = vec![];
    for child in &children {
        if !names.contains(&child.tag_name().name()) {
            names.push(child.tag_name().name());
        }
    }
    let members = names.into_iter().map(|name| {
        let same = children.iter().filter(|child| child.tag_name().name() == name);
        let mut values: Vec<Value> = same.map(|child| from_element(*child, depth + 1)).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::from(values) };
        (name.to_owned(), value)
    });
    let attributes = element.attributes().map(|a| (format!("@{}", a.name()), Value::from(a.value())));
    Value::from_pairs(members.chain(attributes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn txt_survives_quotes_escapes_and_chunks() {
        let long = "x".repeat(600);
        for given in ["plain", "with \"quotes\" and \\", "", "tab\tümlaut", &long] {
            let value = txt(given.as_bytes());
            let written = text(&value);
            assert_eq!(parse(RecordType::TXT, &written, TxtForm::Quoted), Some(value.clone()), "{written}");
            assert_eq!(parse(RecordType::TXT, given, TxtForm::Raw), Some(value), "{given}");
        }
        assert_eq!(text(&txt(long.as_bytes())).matches("\" \"").count(), 2, "255 + 255 + 90");
        assert_eq!(unquoted(r#""a\"b" "c\100""#), "a\"bcd");
        assert_eq!(parse(RecordType::TXT, "\"open", TxtForm::Either), None);
    }

    #[test]
    fn differently_cut_txt_is_the_same_value() {
        let a = parse(RecordType::TXT, r#""ab" "c""#, TxtForm::Either);
        assert_eq!(a, parse(RecordType::TXT, "abc", TxtForm::Either));
        let cut = RData::TXT(TXT::new(vec!["ab".into(), "c".into()]));
        assert_eq!(Some(canonical(&cut)), a);
    }

    #[test]
    fn tlsa_is_read_in_any_case_and_written_in_lower() {
        let value = parse(RecordType::TLSA, "3 1 1  ABCD ef01", TxtForm::Either).expect("a value");
        assert_eq!(text(&value), "3 1 1 abcdef01");
        for wrong in ["", "3 1 1", "3 1 1 xyz", "3 1 1 abc", "300 1 1 ab", "3 1"] {
            assert_eq!(parse(RecordType::TLSA, wrong, TxtForm::Either), None, "{wrong}");
        }
    }

    #[test]
    fn xml_with_one_or_many_children_reads_alike_through_aslist() {
        let value = from_xml("<a xmlns='u'><b>1</b><b>2</b><c><d>x</d></c></a>").expect("XML");
        let json = serde_json::to_string(&value).expect("JSON");
        assert_eq!(json, r#"{"b":["1","2"],"c":{"d":"x"}}"#);
        let typed = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e '&#160;'>]><a><r n='v'/><b>x</b></a>";
        let typed = from_xml(typed).expect("XML");
        let json = serde_json::to_string(&typed).expect("JSON");
        assert_eq!(json, r#"{"b":"x","r":{"@n":"v"}}"#);
        assert!(from_xml("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>").is_none(), "no entities of its own");
        assert!(from_xml("<a>").is_none());
    }
}
