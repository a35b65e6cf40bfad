//! What providers/PLUGINS.md shows is what happens.

use crate::support::{change, name, zone};
use crate::tools::*;
use danesmith_providers::exec::{Setting, Settings};
use danesmith_providers::{Class, Provider};
use hickory_proto::rr::rdata::TLSA;
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::{Value, json};

const MANUAL: &str = include_str!("../../PLUGINS.md");

/// The documents of the transcript that begin with `arrow`; digests are written out, the secret is "token".
fn documents(arrow: &str) -> Vec<Value> {
    let transcript = MANUAL.split("```").nth(1).unwrap().replace("\n     ", "");
    let lines = transcript.lines().filter_map(|line| line.strip_prefix(arrow));
    let full = |line: &str| {
        let digest = |short: &str| short.repeat(16);
        let line = line.replace("8cb0…", &digest("8cb0")).replace("1f2e…", &digest("1f2e"));
        serde_json::from_str(&line.replace('…', "token")).unwrap()
    };
    lines.map(full).collect()
}

fn pin(short: &str) -> RData {
    let data = data_encoding::HEXLOWER.decode(short.repeat(16).as_bytes()).unwrap();
    RData::TLSA(TLSA::new(CertUsage::DaneEe, Selector::Spki, Matching::Sha256, data))
}

#[tokio::test]
async fn the_transcript_is_what_is_said() {
    let (requests, mut answers) = (documents("→ "), documents("← "));
    assert_eq!((requests.len(), answers.len()), (4, 5));
    // The last one is the other way an `apply` can end; then danesmith lists again.
    assert_eq!(answers.pop().unwrap()["error"]["class"], "rate-limited");
    let mut again = answers[2].clone();
    again["id"] = json!(5);
    let added = json!({"value": format!("3 1 1 {}", "1f2e".repeat(16)), "ttl": 3600});
    again["ok"]["records"].as_array_mut().unwrap().push(added);
    answers.push(again);

    let dir = Dir::new();
    let lines: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    std::fs::write(dir.path("answers"), lines).unwrap();
    let program = dir.program(
        "plugin",
        &format!(
            "#!/bin/sh\nexec 3<{0}/answers\nwhile read -r line; do\n  printf '%s\\n' \"$line\" >>{0}/requests\n  \
             IFS= read -r answer <&3; printf '%s\\n' \"$answer\"\ndone\n",
            dir.0.display()
        ),
    );
    let settings = Settings::from([
        ("server".to_owned(), Setting::Plain(json!("192.0.2.53"))),
        ("token".to_owned(), Setting::Secret("token".to_owned().into())),
    ]);
    let provider =
        open_with(&program, settings, |options| options.request = std::time::Duration::from_secs(60)).await;
    let apex = Name::from_ascii("example.org.").unwrap();
    let add = danesmith_providers::Change {
        name: name("_25._tcp.mx.example.org."),
        ttl: 60,
        ..change("x.example.org.", &[pin("1f2e")], &[])
    };
    let applied = provider.unwrap().apply(&apex, &[add]).await.unwrap();
    assert_eq!(applied.writes, 1);

    let written = dir.read("requests");
    let mut said: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), 5);
    for request in &mut said {
        let deadline = request["deadline_ms"].take().as_u64().unwrap();
        assert!((1..=60_000).contains(&deadline), "{deadline}");
        request["deadline_ms"] = json!(60_000);
    }
    assert_eq!(said[..4], requests[..]);
}

#[tokio::test]
async fn every_class_of_the_table_is_understood() {
    let table = MANUAL.split("### Errors").nth(1).unwrap().split("###").next().unwrap();
    let words: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let classes = [
        Class::Auth,
        Class::NotFound,
        Class::RateLimited,
        Class::Conflict,
        Class::Transient,
        Class::Rejected,
        Class::Unsupported,
        Class::Internal,
    ];
    assert_eq!(words.len(), classes.len(), "{words:?}");
    for (word, class) in words.into_iter().zip(classes) {
        let dir = Dir::new();
        let text = format!(
            r#"#!/bin/sh
read -r _; echo '{{"id":1,"ok":{{"protocol":1,"types":["TXT"]}}}}'
while read -r line; do
    id=${{line#*:}} id=${{id%%,*}}
    echo '{{"id":'"$id"',"error":{{"class":"{word}","message":"no","retry_after_ms":1}}}}'
done
"#
        );
        let provider = open(&dir.program("plugin", &text), Settings::new()).await.unwrap();
        let error = provider.list(&zone(), &name("a.example.test."), RecordType::TXT).await.unwrap_err();
        assert_eq!((error.class, error.message.as_str()), (class, "exec test-plugin: no"));
    }
}
