//! Files that would do harm do not pass: what the fakes are worth.

use super::drive;
use super::files::here;
use danesmith_providers::http::Spec;
use std::fs;

/// File, what stands in it, what stands there instead, and what the fake says of that.
const HARMFUL: [(&str, &str, &str, &str); 10] = [
    ("gandi", "{$each: final,", "{$each: \"final | rejectattr('raw') | list\",", "which shall stay"),
    ("gandi", "{$each: final,", "{$each: \"final + old\",", "which shall go"),
    (
        "gandi",
        "records/{{ rel or '@' }}/{{ type }}\"\n  json",
        "records/@/{{ type }}\"\n  json",
        "it names neither",
    ),
    ("powerdns", "'REPLACE' if c.final else 'DELETE'", "'DELETE'", "it is without"),
    ("gcloud", "\"[1] if final else []\"", "\"[]\"", "it is without"),
    ("digitalocean", "records/{{ id }}", "records/70011", "it names the record 70011"),
    ("digitalocean", "records/{{ id }}", "records/5", "it names neither"),
    ("hetznercloud", "[{value: \"{{ value }}\"}]", "[{value: \"x\"}]", "it is without"),
    ("hetznercloud", "value: \"{{ record.value }}\"}]", "value: \"x\"}]", "it has neither the id"),
    ("transip", "content: \"{{ record.content }}\"}}", "content: \"x\"}}", "it has neither the id"),
];

#[tokio::test]
async fn a_file_that_would_lose_what_is_not_ours_is_caught() {
    let mut passed = Vec::new();
    for (file, from, to, complaint) in HARMFUL {
        let text = fs::read_to_string(here().join(format!("catalog/{file}.yaml"))).expect("readable");
        assert!(text.contains(from), "{file} has no `{from}`");
        let spec = Spec::parse(&text.replace(from, to), file).unwrap_or_else(|e| panic!("{file}: {e:#?}"));
        let played = tokio::spawn(async move {
            drive::play(file, spec).await;
        });
        let why = played.await.err().map(|broken| broken.into_panic().downcast_ref::<String>().cloned());
        match why {
            Some(Some(why)) if why.contains(complaint) => {}
            other => passed.push(format!("{file}, `{to}`: {other:?}")),
        }
    }
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}
