//! Files of the catalog against hosts that behave as documented.

use super::*;
use crate::support::{Asked, Told, Web, change, name, standing, texts, tlsa, txt, zone};
use danesmith_providers::Provider;
use danesmith_providers::{Applied, Change, Class};
use hickory_proto::rr::RecordType::{TLSA, TXT};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Cloudflare's records: a list that POST and DELETE change.
fn cloudflare() -> Web {
    let records: Mutex<Vec<Value>> = Mutex::new(vec![json!({
        "id": "r0", "type": "TLSA", "name": "_25._tcp.MX.example.test", "ttl": 300,
        "data": {"usage": 3, "selector": 1, "matching_type": 1, "certificate": "07".repeat(32).to_uppercase()},
    })]);
    Web::start(move |asked, number| {
        let mut records = records.lock().unwrap();
        let path = asked.target.split('?').next().unwrap();
        match (asked.method.as_str(), path) {
            ("GET", "/zones") => Told::json(200, json!({"result": [{"id": "z1", "name": "example.test"}]})),
            ("GET", "/zones/z1/dns_records") => {
                let page = usize::from(asked.target.contains("page=2"));
                let shown: Vec<&Value> = records.iter().skip(page * 2).take(2).collect();
                let info = json!({"page": page + 1, "total_pages": records.len().div_ceil(2)});
                Told::json(200, json!({"result": shown, "result_info": info}))
            }
            ("POST", "/zones/z1/dns_records") => {
                let mut record = asked.json();
                if records
                    .iter()
                    .any(|known| known["data"] == record["data"] && known["content"] == record["content"])
                {
                    return Told::json(400, json!({"errors": [{"code": 81058, "message": "identical"}]}));
                }
                record["id"] = json!(format!("n{number}"));
                records.push(record);
                Told::json(200, json!({"result": {}}))
            }
            ("DELETE", path) => {
                let before = records.len();
                records.retain(|record| !path.ends_with(record["id"].as_str().unwrap()));
                if records.len() < before {
                    Told::json(200, json!({"result": {}}))
                } else {
                    Told::json(404, json!({"errors": [{"code": 81044, "message": "gone"}]}))
                }
            }
            _ => Told::text(405, "?"),
        }
    })
}

#[tokio::test]
async fn single_records_are_added_before_others_are_removed() {
    let web = cloudflare();
    let provider = builtin("cloudflare", &[("url", &web.url()), ("api_token", "t0ken-t0ken")], options());
    assert_eq!(standing(&provider, PINS, TLSA).await, (300, texts(&[tlsa(7)])), "upper case is the same pin");
    let rotate =
        [change(CHALLENGE, &[txt("a"), txt("b")], &[]), change(PINS, &[tlsa(1), tlsa(2)], &[tlsa(7)])];
    assert_eq!(provider.apply(&zone(), &rotate).await.unwrap(), Applied { writes: 5 });
    assert_eq!(standing(&provider, PINS, TLSA).await, (300, texts(&[tlsa(1), tlsa(2)])));
    assert_eq!(standing(&provider, CHALLENGE, TXT).await, (60, texts(&[txt("a"), txt("b")])));

    let asked = web.asked();
    let writes: Vec<&Asked> = asked.iter().filter(|asked| asked.method != "GET").collect();
    let methods: Vec<&str> = writes.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!(methods, ["POST", "POST", "POST", "POST", "DELETE"]);
    assert_eq!(writes[4].target, "/zones/z1/dns_records/r0");
    assert_eq!(
        writes[0].json(),
        json!({"type": "TXT", "name": "_acme-challenge.mx.example.test", "ttl": 60, "content": "\"a\""})
    );
    let data = json!({"usage": 3, "selector": 1, "matching_type": 1, "certificate": "01".repeat(32)});
    assert_eq!(
        writes[2].json(),
        json!({"type": "TLSA", "name": "_25._tcp.mx.example.test", "ttl": 300, "data": data}),
        "the RRset keeps its TTL"
    );
    assert!(asked.iter().all(|asked| asked.header("authorization") == Some("Bearer t0ken-t0ken")));
    assert_eq!(provider.apply(&zone(), &rotate).await.unwrap(), Applied { writes: 0 });
}

#[tokio::test]
async fn desec_gets_all_rrsets_in_one_request_and_its_smallest_ttl() {
    let sets: Mutex<Vec<Value>> = Mutex::new(vec![]);
    let web = Web::start(move |asked, _| {
        let mut sets = sets.lock().unwrap();
        if asked.target.starts_with("/domains/?owns_qname=example.test") {
            return Told::json(200, json!([{"name": "example.test", "minimum_ttl": 3600}]));
        }
        if asked.method == "PATCH" {
            sets.extend(asked.json().as_array().unwrap().iter().map(|set| {
                let subname = set["subname"].as_str().unwrap();
                let name = if subname.is_empty() {
                    "example.test.".into()
                } else {
                    format!("{subname}.example.test.")
                };
                json!({"name": name, "type": set["type"], "ttl": set["ttl"], "records": set["records"]})
            }));
            return Told::json(200, json!([]));
        }
        let query = format!("https://x{}", asked.target);
        let query = reqwest::Url::parse(&query).unwrap();
        let pick = |key: &str| query.query_pairs().find(|(k, _)| k == key).unwrap().1.into_owned();
        let name = format!("{}.example.test.", pick("subname")).trim_start_matches('.').to_owned();
        let shown: Vec<&Value> =
            sets.iter().filter(|set| set["name"] == name && set["type"] == pick("type")).collect();
        Told::json(200, json!(shown))
    });
    let provider = builtin("desec", &[("url", &web.url()), ("token", "t0ken-t0ken")], options());
    let changes = [change("example.test.", &[txt("apex")], &[]), change(PINS, &[tlsa(1), tlsa(2)], &[])];
    assert_eq!(provider.apply(&zone(), &changes).await.unwrap(), Applied { writes: 1 });
    let written = web.asked().into_iter().find(|asked| asked.method == "PATCH").unwrap();
    assert_eq!(written.target, "/domains/example.test/rrsets/");
    let pin = |octet: &str| json!(format!("3 1 1 {}", octet.repeat(32)));
    assert_eq!(
        written.json(),
        json!([
            {"subname": "", "type": "TXT", "ttl": 3600, "records": ["\"apex\""]},
            {"subname": "_25._tcp.mx", "type": "TLSA", "ttl": 3600, "records": [pin("01"), pin("02")]},
        ])
    );
}

const LISTED: &str = r#"<?xml version="1.0"?><ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>SETS</ResourceRecordSets></ListResourceRecordSetsResponse>"#;

#[tokio::test]
async fn route53_replaces_by_exact_deletion_signs_and_waits_until_it_is_in_sync() {
    let written: Mutex<bool> = Mutex::new(false);
    let pin =
        |octet: &str| format!("<ResourceRecord><Value>3 1 1 {}</Value></ResourceRecord>", octet.repeat(32));
    let set = move |pins: &[&str]| {
        let pins: String = pins.iter().map(|octet| pin(octet)).collect();
        format!(
            "<ResourceRecordSet><Name>_25._tcp.mx.example.test.</Name><Type>TLSA</Type><TTL>300</TTL><ResourceRecords>{pins}</ResourceRecords></ResourceRecordSet>"
        )
    };
    let (before, after) = (set(&["09"]), set(&["09", "01"]));
    let (deleted, created) = (before.clone(), after.clone());
    let web = Web::start(move |asked, _| {
        let mut written = written.lock().unwrap();
        let path = asked.target.split('?').next().unwrap();
        match (asked.method.as_str(), path) {
            ("GET", "/hostedzonesbyname") => Told::text(
                200,
                "<R><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.test.</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone><HostedZone><Id>/hostedzone/Z2</Id><Name>example.test.</Name><Config><PrivateZone>true</PrivateZone></Config></HostedZone></HostedZones></R>",
            ),
            ("GET", "/hostedzone/Z1/rrset") => {
                Told::text(200, &LISTED.replace("SETS", if *written { &after } else { &before }))
            }
            ("POST", "/hostedzone/Z1/rrset/") => {
                *written = true;
                Told::text(200, "<R><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo></R>")
            }
            ("GET", "/change/C1") => {
                Told::text(200, "<R><ChangeInfo><Id>/change/C1</Id><Status>INSYNC</Status></ChangeInfo></R>")
            }
            _ => Told::text(405, "?"),
        }
    });
    let settings = [
        ("url", web.url()),
        ("access_key", "AKIDEXAMPLE".to_owned()),
        ("secret_key", "wJalrXUtnFEMI".to_owned()),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let provider = builtin("route53", &settings, options());
    assert_eq!(
        provider.apply(&zone(), &[change(PINS, &[tlsa(1)], &[])]).await.unwrap(),
        Applied { writes: 1 }
    );
    let asked = web.asked();
    let post = asked.iter().find(|asked| asked.method == "POST").unwrap();
    assert_eq!(
        post.body,
        format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>\
             <Change><Action>DELETE</Action>{deleted}</Change><Change><Action>CREATE</Action>{created}</Change>\
             </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
    );
    assert!(web.lines().contains(&"GET /change/C1".to_owned()), "{:?}", web.lines());
    for asked in &asked {
        let signed = asked.header("authorization").unwrap();
        assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signed}");
        assert!(signed.contains("/us-east-1/route53/aws4_request, SignedHeaders="), "{signed}");
        assert!(asked.header("x-amz-security-token").is_none());
    }
}

#[tokio::test]
async fn a_set_that_is_routed_is_left_alone() {
    let web = Web::start(|asked, _| {
        match asked.target.split('?').next().unwrap() {
        "/hostedzonesbyname" => Told::text(200, "<R><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.test.</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone></HostedZones></R>"),
        _ => Told::text(200, &LISTED.replace("SETS", "<ResourceRecordSet><Name>_acme-challenge.mx.example.test.</Name><Type>TXT</Type><SetIdentifier>eu</SetIdentifier><TTL>1</TTL><ResourceRecords><ResourceRecord><Value>\"x\"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>")),
    }
    });
    let settings =
        [("url", web.url()), ("access_key", "AKID".to_owned()), ("secret_key", "wJalrXUtnFEMI".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let provider = builtin("route53", &settings, options());
    let error = provider.apply(&zone(), &[change(CHALLENGE, &[txt("a")], &[])]).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict, "{error}");
    assert!(error.message.contains("follow rules that we leave alone"), "{error}");
    assert_eq!(web.lines().iter().filter(|line| line.starts_with("POST")).count(), 0);
}

#[tokio::test]
async fn a_type_that_the_host_does_not_have_is_unsupported() {
    let text = include_str!("../../catalog/powerdns.yaml").replace("types: [TXT, TLSA]", "types: [TXT]");
    let spec = Arc::new(Spec::parse(&text, "t.yaml").unwrap());
    let provider = provider(spec, &[("url", "http://127.0.0.1:1"), ("api_key", "s3cret-k3y")], options());
    let pins = Change { ttl: 1, ..change(PINS, &[tlsa(1)], &[]) };
    for error in [
        provider.apply(&zone(), &[pins]).await.unwrap_err(),
        provider.preflight(&zone(), &[(name(PINS), TLSA)]).await.unwrap_err(),
    ] {
        assert_eq!(error.class, Class::Unsupported, "{error}");
        assert!(error.message.contains("cannot write TLSA records"), "{error}");
    }
}
