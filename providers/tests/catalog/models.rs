//! Models that others made: Route 53 as moto has it, and five hosts' own descriptions, against which prism checks every
//! request. The tools are fetched; without npm, network or the descriptions both say plainly that they did not run.

use super::drive::{self, NOW, SHEETS, Sheet};
use super::fetched::{self, Missing, left_out};
use super::files::{here, spec};
use super::wire::Request;
use danesmith_providers::http::{HttpProvider, Options, Setting};
use danesmith_providers::{Change, Provider};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Host, its description, and the part of our paths that prism does not want.
const DESCRIBED: [(&str, &str, &str); 5] = [
    ("cloudflare", "cloudflare-dns.json", "/client/v4"),
    ("digitalocean", "digitalocean-domains.json", ""),
    ("hetznercloud", "hetznercloud-zones.json", "/v1"),
    ("linode", "linode-domains.json", ""),
    ("powerdns", "powerdns-zones.json", "/api/v1"),
];

/// A program that ends with the test.
struct Running {
    child: Child,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it on a free port of loopback; `arguments` hold "PORT".
    async fn start(program: &Path, arguments: &[&str]) -> Running {
        let port = free_port().to_string();
        let arguments = arguments.iter().map(|word| if *word == "PORT" { port.as_str() } else { word });
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let mut running = Running { child, url: format!("http://127.0.0.1:{port}") };
        // A loaded machine may need a minute for several of them.
        for _ in 0..1_500 {
            if tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.is_ok() {
                return running;
            }
            let ended = running.child.try_wait().expect("it is ours");
            assert!(ended.is_none(), "{} ended: {ended:?}", program.display());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} does not listen after 150 s", program.display());
    }
}

/// A free port below those that the system gives to the fakes (32768 and up), so that none of them takes it meanwhile.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 1_000).expect("small") * 10;
    (0..100)
        .map(|_| 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// A program that was fetched, or the one of that name on the path where it could not be.
fn tool(name: &str, fetched: Result<PathBuf, Missing>) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut on_path =
        std::env::split_paths(&path).map(|folder| folder.join(name)).filter(|file| file.is_file());
    fetched.map(|folder| folder.join(name)).or_else(|missing| on_path.next().ok_or(missing))
}

/// The folder of descriptions: named by DANESMITH_OPENAPI, or beside the project.
fn descriptions() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("DANESMITH_OPENAPI").map(PathBuf::from) {
        assert!(folder.is_dir(), "DANESMITH_OPENAPI: {} is no folder", folder.display());
        return Some(folder);
    }
    let beside = here().join("../../shared/openapi");
    beside.is_dir().then_some(beside)
}

#[tokio::test]
async fn every_request_is_one_that_the_hosts_descriptions_allow() {
    const WHAT: &str = "requests against the hosts' own descriptions";
    let Some(folder) = descriptions() else {
        return left_out(
            WHAT,
            "there is no folder of API descriptions (DANESMITH_OPENAPI, or ../shared/openapi)",
        );
    };
    let prism = match tool("prism", fetched::npm("prism", "@stoplight/prism-cli@5.14.2")) {
        Ok(prism) => prism,
        Err(missing) => return missing.tell(WHAT),
    };
    let scratch = std::env::temp_dir().join(format!("danesmith-prism-{}", std::process::id()));
    fs::create_dir_all(&scratch).expect("writable");
    let mut checks = vec![];
    for (name, file, strip) in DESCRIBED {
        let Ok(text) = fs::read_to_string(folder.join(file)) else {
            left_out(&format!("{WHAT}: {name}"), &format!("there is no {file}"));
            continue;
        };
        let mut description: Json = serde_json::from_str(&text).expect("JSON");
        mend(name, &mut description);
        let mended = scratch.join(file);
        fs::write(&mended, description.to_string()).expect("writable");
        let prism = prism.clone();
        checks.push(tokio::spawn(async move { check(name, strip, &prism, &mended).await }));
    }
    let mut complaints = vec![];
    for check in checks {
        complaints.extend(check.await.expect("it runs"));
    }
    let _ = fs::remove_dir_all(&scratch);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What prism has against the requests for one host.
async fn check(name: &str, strip: &str, prism: &Path, description: &Path) -> Vec<String> {
    let file = description.to_string_lossy();
    let running = Running::start(prism, &["mock", "--errors", "-h", "127.0.0.1", "-p", "PORT", &file]).await;
    let requests = drive::perform(name).await;
    assert!(requests.len() > 8, "{name} sent {}", requests.len());
    let mut complaints = vec![];
    for request in requests {
        let (status, answer) = send(&running.url, strip, &request).await;
        if let Some(why) = refused(status, &answer) {
            let Request { method, target, body, .. } = &request;
            complaints.push(format!("{name}: {method} {target} {body}\n  {why}"));
        }
        if request.method == "POST" {
            // It does look: the same without its members is refused. (PowerDNS' description demands none of a PATCH.)
            let empty = Request { body: "{}".to_owned(), ..request };
            let (status, answer) = send(&running.url, strip, &empty).await;
            assert!(refused(status, &answer).is_some(), "{name}: prism takes an empty {}", empty.target);
        }
    }
    complaints
}

/// Faults of a description that are its own.
fn mend(name: &str, description: &mut Json) {
    if name != "cloudflare" {
        return;
    }
    // It knows no API tokens, wants what it calls read-only in requests, and a body with DELETE.
    description["components"]["securitySchemes"]["bearer"] = json!({"type": "http", "scheme": "bearer"});
    let paths = description["paths"].as_object_mut().expect("paths");
    for operation in paths.values_mut().filter_map(Json::as_object_mut).flatten().map(|(_, it)| it) {
        if let Some(operation) = operation.as_object_mut() {
            operation.insert("security".into(), json!([{"bearer": []}]));
        }
    }
    for path in paths.values_mut() {
        if let Some(delete) = path.get_mut("delete").and_then(Json::as_object_mut) {
            delete.remove("requestBody");
        }
    }
    optional(description);
    // It wants `content` of every record, though TLSA's is read-only; the types that need it say so themselves.
    let any = description["components"]["schemas"]["dns-records_dns-record"]["required"].as_array_mut();
    any.expect("a list").retain(|name| name != "content");
}

/// Members that only answers have are not required.
fn optional(node: &mut Json) {
    match node {
        Json::Array(items) => items.iter_mut().for_each(optional),
        Json::Object(members) => {
            let answers: Vec<Json> = properties(members).collect();
            if let Some(required) = members.get_mut("required").and_then(Json::as_array_mut) {
                required.retain(|name| {
                    !answers.contains(name)
                        && !matches!(name.as_str(), Some("id" | "created_on" | "modified_on" | "proxiable"))
                });
            }
            members.values_mut().for_each(optional);
        }
        _ => {}
    }
}

/// What prism has against a request; faults of its own made-up answers do not count.
fn refused(status: u16, answer: &str) -> Option<String> {
    if status < 400 {
        return None;
    }
    let problem: Json = serde_json::from_str(answer).unwrap_or_default();
    let of_request = |fault: &&Json| fault["location"][0] != "response";
    let faults =
        problem["validation"].as_array().map(|all| all.iter().filter(of_request).collect::<Vec<_>>());
    match faults {
        Some(faults) if faults.is_empty() => None,
        Some(faults) => Some(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")),
        None => Some(format!("{status} {answer}")),
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// Names of the read-only members that a schema has itself.
fn properties(schema: &Map<String, Json>) -> impl Iterator<Item = Json> {
    let own = schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
    own.into_iter().filter(|(_, it)| it["readOnly"] == true).map(|(name, _)| Json::String(name))
}

/// The request once more, to prism.
async fn send(url: &str, strip: &str, request: &Request) -> (u16, String) {
    let target = request.target.strip_prefix(strip).expect("our paths begin with it");
    let method = request.method.parse().expect("a method");
    let mut out = client().request(method, format!("{url}{target}"));
    for (name, value) in request
        .headers
        .iter()
        .filter(|(name, _)| !["host", "content-length", "connection"].contains(&name.as_str()))
    {
        out = out.header(name, value);
    }
    let answer = out.body(request.body.clone()).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

#[tokio::test]
async fn route_53_as_moto_knows_it_keeps_what_is_not_ours() {
    // Of moto's extra "server" only what the server itself imports: the rest is four times as much, for other services.
    let moto =
        match tool("moto_server", fetched::python("moto-venv", &["moto==5.2.5", "flask", "flask-cors"])) {
            Ok(moto) => moto,
            Err(missing) => return missing.tell("Route 53 as moto has it"),
        };
    let running = Running::start(&moto, &["-H", "127.0.0.1", "-p", "PORT"]).await;
    let base = format!("{}/2013-04-01", running.url);
    let zone = "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                <Name>example.org</Name><CallerReference>1</CallerReference></CreateHostedZoneRequest>";
    let made = client()
        .post(format!("{base}/hostedzone"))
        .header("authorization", "AWS4-HMAC-SHA256 Credential=T/20261123/us-east-1/route53/aws4_request")
        .body(zone)
        .send()
        .await
        .expect("an answer");
    assert_eq!(made.status().as_u16(), 201, "moto makes a zone");
    let settings = BTreeMap::from([
        ("access_key".to_owned(), Setting::Plain("T".into())),
        ("secret_key".to_owned(), Setting::Secret("T".to_owned().into())),
        ("region".to_owned(), Setting::Plain("us-east-1".into())),
        ("url".to_owned(), Setting::Plain(base)),
    ]);
    let provider = HttpProvider::new(Arc::new(spec("route53")), &settings, Options::new(Arc::new(|| NOW)))
        .expect("opens");
    for sheet in &SHEETS {
        // Theirs comes second: moto 5.2 refuses a set that it has made before, even after its DELETE; Route 53 does not.
        change(&provider, sheet, sheet.shared, &[sheet.ours], &[]).await;
        change(&provider, sheet, sheet.shared, &[sheet.theirs], &[]).await;
        change(&provider, sheet, sheet.shared, &[sheet.ours], &[]).await;
        assert_eq!(listed(&provider, sheet, sheet.shared).await, [sheet.ours, sheet.theirs]);
        change(&provider, sheet, sheet.shared, &[], &[sheet.ours]).await;
        assert_eq!(listed(&provider, sheet, sheet.shared).await, [sheet.theirs]);
        change(&provider, sheet, sheet.empty, &[sheet.ours], &[]).await;
        assert_eq!(listed(&provider, sheet, sheet.empty).await, [sheet.ours]);
        change(&provider, sheet, sheet.empty, &[], &[sheet.ours]).await;
        assert!(listed(&provider, sheet, sheet.empty).await.is_empty());
    }
}

async fn change(provider: &HttpProvider, sheet: &Sheet, fqdn: &str, add: &[&str], remove: &[&str]) {
    let change = Change {
        name: drive::name(fqdn),
        rtype: sheet.rtype,
        ttl: 300,
        add: add.iter().map(|value| sheet.rdata(value)).collect(),
        remove: remove.iter().map(|value| sheet.rdata(value)).collect(),
    };
    provider.apply(&drive::name("example.org"), &[change]).await.unwrap_or_else(|e| panic!("{fqdn}: {e}"));
}

/// Which of the sheet's two values stand.
async fn listed(provider: &HttpProvider, sheet: &Sheet, fqdn: &str) -> Vec<&'static str> {
    let zone = drive::name("example.org");
    let found = provider.list(&zone, &drive::name(fqdn), sheet.rtype).await.expect("a list").values;
    assert!(found.len() < 3, "{found:?}");
    [sheet.ours, sheet.theirs].into_iter().filter(|value| found.contains(&sheet.rdata(value))).collect()
}
