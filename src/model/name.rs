//! Host names as certificates and TLSA owners carry them: A-labels (RFC 5890 §2.3.2.1), lower case, no final dot.

use super::key::KeyError;
use std::net::IpAddr;

/// What a user typed, as A-labels: `Bücher.Example.` becomes `xn--bcher-kva.example`. A leftmost `*` stays.
pub fn host(typed: &str) -> Result<String, KeyError> {
    let bare = typed.strip_suffix('.').unwrap_or(typed);
    let (star, base) = match bare.strip_prefix("*.") {
        Some(base) => ("*.", base),
        None => ("", bare),
    };
    check_typed(typed, base)?;
    let ascii = idna::domain_to_ascii_strict(base)
        .map_err(|_| refused(typed, "is not a host name (letters, digits, hyphens; at most 63 a label)"))?;
    check_ascii(typed, &ascii)?;
    Ok(format!("{star}{ascii}"))
}

/// Several names: each as [`host`] says, sorted, without duplicates.
pub fn hosts(typed: &[String]) -> Result<Vec<String>, KeyError> {
    let mut names = typed.iter().map(|name| host(name)).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// A name where TLSA records may stand: host labels, with `_label`s (RFC 8552) and a leftmost `*` allowed, because
/// the target of an alias may have any name (RFC 7671 §6).
pub fn owner(typed: &str) -> Result<String, KeyError> {
    let mut attributes = Vec::new();
    let mut rest = typed;
    while let Some((label, after)) = rest.split_once('.')
        && (is_attribute(label) || (label == "*" && attributes.is_empty()))
    {
        attributes.push(label.to_ascii_lowercase());
        rest = after;
    }
    let base = host(rest).map_err(|error| renamed(error, typed))?;
    if !attributes.is_empty() && base.starts_with("*.") {
        return Err(refused(typed, "has a wildcard that is not its leftmost label"));
    }
    attributes.push(base);
    let name = attributes.join(".");
    check_ascii(typed, &name)?;
    Ok(name)
}

fn is_attribute(label: &str) -> bool {
    label.strip_prefix('_').is_some_and(|tail| {
        (1..63).contains(&tail.len()) && tail.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

fn check_typed(typed: &str, base: &str) -> Result<(), KeyError> {
    let why = if base.is_empty() {
        "is empty"
    } else if base.contains('*') {
        "has a wildcard that is not its whole leftmost label"
    } else if base.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        "is an address, not a host name"
    } else {
        return Ok(());
    };
    Err(refused(typed, why))
}

fn check_ascii(typed: &str, ascii: &str) -> Result<(), KeyError> {
    // RFC 1123 §2.1: a top label is never all digits, or the name would read as an address.
    let top = ascii.rsplit('.').next().unwrap_or_default();
    if top.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused(typed, "ends in a label of digits only"));
    }
    // RFC 1035 §2.3.4: 255 octets on the wire are 253 characters.
    if ascii.len() > 253 {
        return Err(refused(typed, "is longer than 253 characters"));
    }
    Ok(())
}

fn refused(name: &str, why: &str) -> KeyError {
    KeyError::Name { name: name.to_owned(), why: why.to_owned() }
}

fn renamed(error: KeyError, typed: &str) -> KeyError {
    match error {
        KeyError::Name { why, .. } => refused(typed, &why),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// RFC 5891 §4.
    #[test]
    fn rule_21_names_become_lower_case_a_labels_without_final_dot() {
        assert_eq!(host("MX1.Bücher.Example.").unwrap(), "mx1.xn--bcher-kva.example");
        assert_eq!(host("*.Example.org").unwrap(), "*.example.org");
        assert_eq!(host("localhost").unwrap(), "localhost");
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        let long = format!("{}.org", "a".repeat(64));
        let bad = [
            "",
            ".",
            "*",
            "*.",
            "a..b",
            "a.*.b",
            "f*.b.org",
            "**.b.org",
            "192.0.2.1",
            "[2001:db8::1]",
            "2001:db8::1",
        ];
        for name in bad
            .into_iter()
            .chain(["a b.org", "-a.org", "a_b.org", "a.org;x", "a.org\n", "a.1", "a.org..", &long])
        {
            assert!(host(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn owners_may_have_attribute_labels() {
        assert_eq!(owner("_25._TCP.Mx.Bücher.example.").unwrap(), "_25._tcp.mx.xn--bcher-kva.example");
        assert_eq!(owner("*._tcp.mx.example.").unwrap(), "*._tcp.mx.example");
        assert_eq!(owner("tlsa.example.org").unwrap(), "tlsa.example.org");
        for name in [
            "_25._tcp",
            "_25._tcp.",
            "_25._tcp.*.org",
            "_25._tcp.a;b.org",
            "_._tcp.a.org",
            "_25._tcp.192.0.2.1",
        ] {
            assert!(owner(name).is_err(), "{name:?}");
        }
    }
}
