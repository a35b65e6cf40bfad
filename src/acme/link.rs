//! Link header fields (RFC 8288): `alternate` chains (RFC 8555 §7.4.2) and `terms-of-service` (§7.3.3).

/// The targets of all links whose relation types include `relation`, in their order.
pub(super) fn targets(fields: &[String], relation: &str) -> Vec<String> {
    fields.iter().flat_map(|field| split(field, ',')).filter_map(|link| target(link, relation)).collect()
}

fn target(link: &str, relation: &str) -> Option<String> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let related = split(parameters, ';').into_iter().filter_map(|parameter| parameter.split_once('=')).any(
        |(name, value)| {
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_ascii_whitespace()
                    .any(|word| word.eq_ignore_ascii_case(relation))
        },
    );
    related.then(|| target.trim().to_string())
}

/// Splits at `separator` outside of `<…>` and `"…"`.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut bracketed) = (Vec::new(), 0, false, false);
    for (position, character) in text.char_indices() {
        match character {
            '"' if !bracketed => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            _ if character == separator && !quoted && !bracketed => {
                parts.push(&text[start..position]);
                start = position + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::targets;

    fn found(field: &str) -> Vec<String> {
        targets(&[field.to_string()], "alternate")
    }

    #[test]
    fn links_are_found_among_others_in_one_field() {
        let field = r#"<https://ca/dir>;rel="index", <https://ca/c/1,2>; title="a, b; c"; rel="x Alternate" , <https://ca/c/2>;rel=alternate"#;
        assert_eq!(found(field), ["https://ca/c/1,2", "https://ca/c/2"]);
    }

    #[test]
    fn nonsense_gives_no_link() {
        for field in
            ["", "<", "<>", "https://ca;rel=alternate", "<https://ca", ",;,", r#"<a>;rel=""#, "<é>;é=é"]
        {
            assert_eq!(found(field), Vec::<String>::new(), "{field}");
        }
    }
}
