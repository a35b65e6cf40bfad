//! Text on its way into HTML. Names come from configuration and words from servers: neither is trusted.

use std::fmt::{self, Display, Formatter, Write};

/// What is displayed, escaped for elements and quoted attributes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            '\n' | '\t' => self.0.write_char(' '),
            c if c.is_control() || reorders(c) => self.0.write_char('\u{fffd}'),
            c => self.0.write_char(c),
        })
    }
}

/// Characters that show what follows in another order than it is written (UAX 9 §2): a name could look like another.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Units that `text` takes in the drawing's monospaced font; wide characters (UAX 11, roughly) count double.
pub(super) fn width(text: &str) -> f64 {
    const EACH: f64 = 6.05; // of 10 px, DejaVu Sans Mono takes 0.602 for a character, Consolas 0.55
    let wide = |c: char| ('\u{1100}'..='\u{115f}').contains(&c) || c >= '\u{2e80}';
    text.chars().map(|c| if wide(c) { 2.0 * EACH } else { EACH }).sum()
}

/// The text, or as much of it as has room with an ellipsis; `None` when less than two characters have.
pub(super) fn fitting(text: &str, room: f64) -> Option<String> {
    if width(text) <= room {
        return Some(text.to_owned());
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if width(&short) + width("…") > room {
            short.pop();
            break;
        }
    }
    (short.chars().count() >= 2).then(|| format!("{}…", short.trim_end()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_element_or_attribute() {
        let hostile = "</title><script>alert('1')</script>\" onload=\"x&amp;\u{202e}\u{0}\n";
        assert_eq!(
            Escaped(hostile).to_string(),
            "&lt;/title&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;amp;\u{fffd}\u{fffd} "
        );
    }

    #[test]
    fn text_is_cut_to_its_room() {
        assert_eq!(fitting("backup", 100.0).unwrap(), "backup");
        assert_eq!(fitting("backup", 25.0).unwrap(), "bac…");
        assert_eq!(fitting("backup", 10.0), None);
    }
}
