//! Every file is driven against a fake of its host: list, add, add again, remove, beside a value of somebody else's and
//! alone. The requests are compared with `requests/NAME.txt` (BLESS=1 rewrites it) and, where there is one, with a sample
//! from a source of its own.

use super::case::{Case, Fake};
use super::files::{catalog, here, spec};
use super::tree;
use super::wire::{self, Request};
use super::zone::{Change as Pending, Record, ZONE};
use danesmith_providers::http::{HttpProvider, Options, Setting, Spec};
use danesmith_providers::{Change, Provider};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::Duration;

/// The time that signatures see: 2026-11-23 00:00:00 UTC.
pub(crate) const NOW: u64 = 1_795_392_000;
/// Ids of records: unlike other numbers in requests, so that they are found there.
const OURS: u32 = 70_041;
const THEIRS: u32 = 70_011;
const NEIGHBOURS: u32 = 70_021;
/// So many at once: all together would run out of time on a busy machine.
static TURNS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(6);
/// Headers that say nothing of the host.
const DULL: [&str; 6] = ["host", "user-agent", "accept", "accept-encoding", "content-length", "connection"];

/// Two values, ours and theirs, and names for them.
pub(crate) struct Sheet {
    pub(crate) rtype: RecordType,
    word: &'static str,
    /// Where somebody else's value stands.
    pub(crate) shared: &'static str,
    /// Where nothing stands.
    pub(crate) empty: &'static str,
    pub(crate) ours: &'static str,
    pub(crate) theirs: &'static str,
}

pub(crate) const SHEETS: [Sheet; 2] = [
    Sheet {
        rtype: RecordType::TXT,
        word: "TXT",
        shared: "_acme-challenge.mx.example.org",
        empty: "_acme-challenge.empty.example.org",
        ours: "\"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0\"",
        theirs: "\"theirs-7NQfVjr1jbKZ0Ye7hGIgpYXWZX4H4cJdJvLm\"",
    },
    Sheet {
        rtype: RecordType::TLSA,
        word: "TLSA",
        shared: "_25._tcp.mx.example.org",
        empty: "_25._tcp.empty.example.org",
        ours: "3 1 1 0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3",
        theirs: "3 1 1 8bd1da95272f7fa4ffb24137fc0ed03aae67e5c4d8b3c50734e1050a7920b922",
    },
];

impl Sheet {
    fn record(&self, id: u32, fqdn: &str, value: &str) -> Record {
        Record { id, fqdn: fqdn.to_owned(), rtype: self.word.to_owned(), value: value.to_owned() }
    }

    pub(crate) fn rdata(&self, value: &str) -> RData {
        use hickory_proto::rr::rdata::{TLSA, TXT, tlsa};
        if self.rtype == RecordType::TXT {
            return RData::TXT(TXT::new(vec![value.trim_matches('"').to_owned()]));
        }
        let parts: Vec<&str> = value.split(' ').collect();
        let number = |at: usize| parts[at].parse::<u8>().expect("a number");
        let data = data_encoding::HEXLOWER.decode(parts[3].as_bytes()).expect("hex");
        RData::TLSA(TLSA::new(
            tlsa::CertUsage::from(number(0)),
            tlsa::Selector::from(number(1)),
            tlsa::Matching::from(number(2)),
            data,
        ))
    }
}

/// The engine with one file, and the fake of its host.
pub(crate) struct Play {
    name: String,
    fake: Arc<Fake>,
    provider: HttpProvider,
    /// What the snapshot will hold.
    script: Vec<String>,
    shown: BTreeSet<String>,
    /// Every request, in order.
    sent: Vec<Request>,
}

impl Play {
    async fn open(name: &str, spec: Spec) -> Play {
        let fake = Arc::new(Fake::new(Case::of(name), spec.semantics));
        let answering = fake.clone();
        let address = wire::serve(Arc::new(move |request| answering.answer(request))).await;
        let settings = settings(&spec, &fake.case, &address);
        let mut options = Options::new(Arc::new(|| NOW));
        options.deadline = Duration::from_secs(60);
        let provider =
            HttpProvider::new(Arc::new(spec), &settings, options).unwrap_or_else(|e| panic!("{name}: {e}"));
        Play { name: name.to_owned(), fake, provider, script: vec![], shown: BTreeSet::new(), sent: vec![] }
    }

    /// One change, and what the fake's zone must hold then.
    async fn change(&mut self, sheet: &Sheet, fqdn: &str, add: &[&str], remove: &[&str], wanted: &[&str]) {
        let writes = self.prepare(sheet, fqdn, add, remove);
        let change = Change {
            name: name(fqdn),
            rtype: sheet.rtype,
            ttl: 300,
            add: add.iter().map(|value| sheet.rdata(value)).collect(),
            remove: remove.iter().map(|value| sheet.rdata(value)).collect(),
        };
        let outcome = self.provider.apply(&name(ZONE), &[change]).await;
        self.fair(&format!("{} {fqdn} add {add:?} remove {remove:?}: {outcome:?}", sheet.word));
        let zone = self.fake.zone.lock().expect("unpoisoned");
        let mut here: Vec<&str> = zone.here().into_iter().map(|record| record.value.as_str()).collect();
        let mut wanted = wanted.to_vec();
        here.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(here, wanted, "{}: {outcome:?}", self.name);
        let outcome = outcome.unwrap_or_else(|e| panic!("{}: {e}", self.name));
        assert_eq!(outcome.writes == 0, zone.writes == writes, "{}: {outcome:?}", self.name);
    }

    /// Tells the fake what its next write means.
    fn prepare(&self, sheet: &Sheet, fqdn: &str, add: &[&str], remove: &[&str]) -> u32 {
        let mut zone = self.fake.zone.lock().expect("unpoisoned");
        zone.at = (fqdn.to_owned(), sheet.word.to_owned());
        let standing =
            |value: &str| zone.here().iter().find(|record| record.value == value).map(|record| record.id);
        let remove = remove.first().and_then(|value| standing(value));
        let add = add
            .first()
            .filter(|value| standing(value).is_none())
            .map(|value| sheet.record(OURS, fqdn, value));
        zone.pending = (add.is_some() || remove.is_some()).then_some(Pending { add, remove });
        zone.writes
    }

    async fn listed(&mut self, sheet: &Sheet, fqdn: &str, wanted: &[&str]) {
        self.prepare(sheet, fqdn, &[], &[]);
        let listed = self.provider.list(&name(ZONE), &name(fqdn), sheet.rtype).await;
        self.fair(&format!("list {} {fqdn}: {listed:?}", sheet.word));
        let listed = listed.unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let wanted: Vec<RData> = wanted.iter().map(|value| sheet.rdata(value)).collect();
        assert_eq!(listed.values, wanted, "{}", self.name);
    }

    /// The fake understood all it was asked.
    fn fair(&self, what: &str) {
        let complaints = self.fake.complaints.lock().expect("unpoisoned");
        assert!(complaints.is_empty(), "{}: {what}\n{}", self.name, complaints.join("\n"));
    }

    /// Requests since the last call, under a heading; reads that were shown once are left out.
    fn note(&mut self, heading: &str) {
        self.script.push(format!("## {heading}"));
        let requests: Vec<Request> = self.fake.seen.lock().expect("unpoisoned").drain(..).collect();
        for request in &requests {
            let shown = show(request, &self.fake.case.mask);
            if request.method != "GET" || self.shown.insert(shown.clone()) {
                self.script.push(shown);
            }
        }
        if let Some(sample) = &self.fake.case.sample {
            requests
                .iter()
                .filter(|request| sample.is_of(request))
                .for_each(|request| sample.compare(request, &self.name));
            SAMPLED
                .lock()
                .expect("unpoisoned")
                .extend(requests.iter().any(|request| sample.is_of(request)).then(|| self.name.clone()));
        }
        self.sent.extend(requests);
    }
}

/// Names whose sample met a request.
static SAMPLED: std::sync::Mutex<BTreeSet<String>> = std::sync::Mutex::new(BTreeSet::new());

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).expect("a name")
}

/// "T-FIELD" for every field; addresses lead to the fake, with the path that they have in the file.
fn settings(spec: &Spec, case: &Case, address: &str) -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::new();
    for field in &spec.fields {
        let default = field.default.clone().unwrap_or_default();
        let given =
            case.config.get(&field.name).map(|value| match value.get("file").and_then(Json::as_str) {
                Some(file) => {
                    fs::read_to_string(here().join("tests/catalog").join(file)).expect("the test's own key")
                }
                None => tree::plain(value).replace("FAKE", &format!("http://{address}")),
            });
        let text = match given {
            Some(given) => given,
            None if field.name.ends_with("url") => {
                let path = default.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
                format!("http://{address}{path}")
            }
            None if field.required => format!("T-{}", field.name),
            None => continue,
        };
        let secret = field.secret.then(|| Setting::Secret(text.clone().into()));
        settings.insert(field.name.clone(), secret.unwrap_or(Setting::Plain(text)));
    }
    settings
}

/// A request for people: method and target, headers that matter, the body.
fn show(request: &Request, mask: &[String]) -> String {
    let mut out = format!("{} {}", request.method, request.target);
    for (name, value) in request.headers.iter().filter(|(name, _)| !DULL.contains(&name.as_str())) {
        let value = if mask.contains(name) { "…" } else { value };
        out.push_str(&format!("\n    {name}: {value}"));
    }
    let body = match request.content() {
        Json::Null => String::new(),
        Json::String(text) => text.trim().to_owned(),
        mut json => {
            hide(&mut json, mask);
            json.to_string()
        }
    };
    for line in body.lines() {
        out.push_str(&format!("\n  {line}"));
    }
    out
}

fn hide(json: &mut Json, mask: &[String]) {
    match json {
        Json::Object(members) => {
            for (name, value) in members.iter_mut() {
                if mask.contains(name) {
                    *value = json!("…");
                }
                hide(value, mask);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| hide(item, mask)),
        _ => {}
    }
}

/// Everything that one file is asked to do; gives all requests.
pub(crate) async fn perform(file: &str) -> Vec<Request> {
    let play = play(file, spec(file)).await;
    snapshot(file, &play.script.join("\n"));
    play.sent
}

/// The same with a file of that name that says something else; panics where it does wrong.
pub(crate) async fn play(file: &str, spec: Spec) -> Play {
    let _turn = TURNS.acquire().await.expect("open");
    let types = spec.types.clone();
    let mut play = Play::open(file, spec).await;
    let sheets: Vec<&Sheet> = SHEETS.iter().filter(|sheet| types.contains(&sheet.rtype)).collect();
    {
        let mut zone = play.fake.zone.lock().expect("unpoisoned");
        for (at, sheet) in (0..).zip(&sheets) {
            // A neighbour has the very value that we shall remove.
            let neighbour = sheet.shared.replace(".mx.", ".neighbour.");
            if play.fake.case.alone.is_none() {
                zone.records.push(sheet.record(THEIRS + at, sheet.shared, sheet.theirs));
            }
            zone.records.push(sheet.record(NEIGHBOURS + at, &neighbour, sheet.ours));
        }
    }
    let before = play.fake.zone.lock().expect("unpoisoned").records.clone();
    for sheet in sheets {
        if play.fake.case.alone.is_none() {
            play.listed(sheet, sheet.shared, &[sheet.theirs]).await;
            play.note(&format!("{}: what stands", sheet.word));
            play.change(sheet, sheet.shared, &[sheet.ours], &[], &[sheet.ours, sheet.theirs]).await;
            play.note(&format!("{}: a value beside theirs", sheet.word));
            play.change(sheet, sheet.shared, &[sheet.ours], &[], &[sheet.ours, sheet.theirs]).await;
            play.listed(sheet, sheet.shared, &[sheet.theirs, sheet.ours]).await;
            play.change(sheet, sheet.shared, &[], &[sheet.ours], &[sheet.theirs]).await;
            play.note(&format!("{}: and away again", sheet.word));
        }
        play.listed(sheet, sheet.empty, &[]).await;
        play.change(sheet, sheet.empty, &[sheet.ours], &[], &[sheet.ours]).await;
        play.note(&format!("{}: the first value of a name", sheet.word));
        play.change(sheet, sheet.empty, &[], &[sheet.ours], &[]).await;
        play.change(sheet, sheet.empty, &[], &[sheet.ours], &[]).await;
        play.note(&format!("{}: and the last away", sheet.word));
    }
    let zone = play.fake.zone.lock().expect("unpoisoned").clone();
    assert_eq!(zone.records, before, "{file}: what was not ours stands as before");
    if play.fake.case.answers.iter().any(super::case::Answer::commits) {
        assert_eq!(zone.commits, zone.writes, "{file}: every write is followed by one commit");
    }
    play
}

fn snapshot(file: &str, script: &str) {
    let path = here().join(format!("tests/catalog/requests/{file}.txt"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(&path, format!("{script}\n")).expect("writable");
        return;
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(script.trim(), known.trim(), "{file}: other requests than before; BLESS=1 takes these");
}

/// Those that have tests of their own in `tests/http/` and in `models.rs`.
pub(crate) const ELSEWHERE: [&str; 2] = ["desec", "route53"];

#[tokio::test]
async fn every_file_adds_and_removes_its_own_values_and_nothing_else() {
    let (mut failures, mut samples, mut plays) = (Vec::new(), 0, Vec::new());
    for (file, _) in catalog().into_iter().filter(|(file, _)| !ELSEWHERE.contains(&file.as_str())) {
        samples += usize::from(Case::of(&file).sample.is_some());
        let played = file.clone();
        plays.push((
            file,
            tokio::spawn(async move {
                perform(&played).await;
            }),
        ));
    }
    for (file, play) in plays {
        if let Err(broken) = play.await {
            let why = broken.into_panic();
            let why = why.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned());
            failures.push(format!("{file}: {why}"));
        }
    }
    assert!(failures.is_empty(), "{} failed\n{}", failures.len(), failures.join("\n\n"));
    assert_eq!(SAMPLED.lock().expect("unpoisoned").len(), samples, "a sample met no request");
}
