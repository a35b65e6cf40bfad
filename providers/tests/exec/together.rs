//! Several writers at a host whose interface can only replace whole sets, as many do: read, change, write back, slowly.

use crate::support::{change, name, txt, zone};
use crate::tools::*;
use danesmith_providers::exec::{ExecProvider, Options, Settings};
use danesmith_providers::{Class, Provider};
use futures_util::future::join_all;
use hickory_proto::rr::RecordType::TXT;
use std::path::PathBuf;
use std::time::Duration;

/// Keeps one RRset in a file; another writer between its reading and its writing loses.
fn host(dir: &Dir) -> PathBuf {
    let text = r#"#!/usr/bin/env python3
import json, os, sys, time
HOST = "DIR/rrset"
for line in sys.stdin:
    r = json.loads(line)
    read = lambda: json.load(open(HOST)) if os.path.exists(HOST) else []
    ok = {"hello": {"protocol": 1, "types": ["TXT"], "atomic": "none", "ttl": {"min": 60, "max": 3600}}, "zone": {"name": "example.test"}}.get(r["op"])
    if r["op"] == "list":
        ok = {"records": read()}
    if r["op"] == "apply":
        records = read()
        time.sleep(0.1)
        for c in r["changes"]:
            records = [x for x in records if x["value"] not in c["remove"]] + [{"value": v, "ttl": c["ttl"]} for v in c["add"]]
        draft = HOST + str(os.getpid())
        json.dump(records, open(draft, "w"))
        os.rename(draft, HOST)
        ok = {"applied": 1}
    print(json.dumps({"id": r["id"], "ok": ok}), flush=True)
"#;
    dir.program("host", &text.replace("DIR", &dir.0.display().to_string()))
}

async fn writers(program: &PathBuf, count: usize, locks: Option<PathBuf>) -> Vec<ExecProvider> {
    let open = (0..count).map(|_| async {
        let options = Options { locks: locks.clone(), ..Options::new("exec host") };
        ExecProvider::new(vec![program.into()], Settings::new(), options).await.unwrap()
    });
    join_all(open).await
}

async fn write_all(writers: &[&ExecProvider]) -> usize {
    let writes = writers.iter().enumerate().map(async |(n, writer)| {
        writer.apply(&zone(), &[change("a.example.test.", &[txt(&format!("writer {n}"))], &[])]).await
    });
    for outcome in join_all(writes).await {
        outcome.unwrap();
    }
    writers[0].list(&zone(), &name("a.example.test."), TXT).await.unwrap().values.len()
}

#[tokio::test]
async fn changes_of_one_run_wait_for_each_other() {
    let dir = Dir::new();
    let one = writers(&host(&dir), 1, None).await;
    assert_eq!(write_all(&[&one[0]; 6]).await, 6);
}

#[tokio::test]
async fn runs_of_one_host_wait_for_each_other_at_the_lock_file() {
    let dir = Dir::new();
    let with_locks = writers(&host(&dir), 6, Some(dir.0.clone())).await;
    assert_eq!(write_all(&with_locks.iter().collect::<Vec<_>>()).await, 6);
    assert!(dir.path("example.test.lock").exists());
}

#[tokio::test]
async fn a_lock_file_that_somebody_holds_is_not_waited_for_for_ever() {
    let dir = Dir::new();
    let program = host(&dir);
    let held = std::fs::File::create(dir.path("example.test.lock")).unwrap();
    held.lock().unwrap();
    let options =
        Options { locks: Some(dir.0.clone()), total: Duration::from_secs(2), ..Options::new("exec host") };
    let writer = ExecProvider::new(vec![program.into()], Settings::new(), options).await.unwrap();
    let one = [change("a.example.test.", &[txt("a")], &[])];
    let error = writer.apply(&zone(), &one).await.unwrap_err();
    assert_eq!(error.class, Class::Transient);
    assert!(error.message.contains("another run kept writing to zone example.test"), "{error}");
    drop(held);
    assert_eq!(writer.apply(&zone(), &one).await.unwrap().writes, 1);
}

#[tokio::test]
async fn a_new_rrset_gets_a_ttl_the_host_takes_and_keeps_it() {
    let dir = Dir::new();
    let one = writers(&host(&dir), 1, None).await;
    let with_ttl =
        |ttl, text| danesmith_providers::Change { ttl, ..change("a.example.test.", &[txt(text)], &[]) };
    one[0].apply(&zone(), &[with_ttl(5, "a")]).await.unwrap();
    assert_eq!(one[0].list(&zone(), &name("a.example.test."), TXT).await.unwrap().ttl, 60);
    one[0].apply(&zone(), &[with_ttl(900, "b")]).await.unwrap();
    assert_eq!(dir.read("rrset").matches("\"ttl\": 60").count(), 2, "{}", dir.read("rrset"));
}
