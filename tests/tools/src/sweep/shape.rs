//! A call without what differs from run to run, so that the same step of two runs is known again.

use super::Call;

/// Hexadecimal digits from which on a part of a path is a digest.
const DIGEST: usize = 16;

impl Call {
    /// Name and place; of paths what lies below the state folder, `#` for digests, `.#.new` for files about to be renamed
    /// to one.
    pub fn shape(&self) -> String {
        format!("{} {}", self.name, without_names(&self.place()))
    }
}

fn without_names(place: &str) -> String {
    let words = place.split(' ').map(|word| word.split_once("/state").map_or(word, |(_, below)| below));
    let parts = words.map(|word| word.split('/').map(without_digest).collect::<Vec<_>>().join("/"));
    parts.collect::<Vec<_>>().join(" ")
}

fn without_digest(part: &str) -> &str {
    let digits = part.chars().filter(char::is_ascii_hexdigit).count();
    if digits < DIGEST {
        part
    } else if part.starts_with('.') {
        ".#.new"
    } else {
        "#"
    }
}

#[cfg(test)]
mod tests {
    use super::without_names;

    #[test]
    fn paths_of_two_worlds_have_one_shape() {
        let shape = |dir: &str, digest: &str| {
            without_names(&format!("{dir}/state/keys/.{digest}.new -> {dir}/state/keys/{digest}"))
        };
        let one = shape("/tmp/world-1", &"0a".repeat(32));
        assert_eq!(one, "/keys/.#.new -> /keys/#");
        assert_eq!(one, shape("/var/other", &"f3".repeat(32)));
        assert_eq!(without_names("/tmp/w/state/account.json"), "/account.json");
        assert_eq!(without_names("127.0.0.14:14000"), "127.0.0.14:14000");
    }
}
