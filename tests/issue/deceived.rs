//! A CA that hands out another certificate than the one that was ordered: pebble, and somebody between it and us.

use crate::first::quick;
use crate::site::{ACCOUNT, Site};
use crate::support::{Lab, eventually};
use std::fs;
use std::time::Duration;

const ZONE: &str = "example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}";

/// Hands everything on, but for certificates, in whose place `instead.pem` is given when it is there.
const BETWEEN: &str = r#"
import http.client, http.server, json, os, ssl
ca = ssl.create_default_context(cafile="pebble-root.pem")
class Between(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def relay(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        link = http.client.HTTPSConnection("127.0.0.14", 14000, context=ca)
        link.request(self.command, self.path, body or None, dict(self.headers))
        answer = link.getresponse()
        content = answer.read()
        if self.path.startswith("/certZ/") and os.path.exists("instead.pem"):
            content = open("instead.pem", "rb").read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
    do_GET = do_POST = do_HEAD = relay
settings = json.load(open("pebble/config.json"))["pebble"]
server = http.server.ThreadingHTTPServer(("127.0.0.14", 14001), Between)
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(settings["certificate"], settings["privateKey"])
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

#[test]
fn a_certificate_for_another_key_other_names_or_another_time_is_not_installed() {
    let mut site = Site::new(Lab::start(quick()));
    fs::write(site.lab.dir().join("between.py"), BETWEEN).unwrap();
    let mut between = site.lab.command("python3").arg("between.py").spawn().unwrap();
    eventually(Duration::from_secs(20), "somebody stands between", || {
        site.lab.run("ss", &["-ltnH", "src 127.0.0.14:14001"]).contains("14001")
    });
    site.accounts = ACCOUNT.replace(":14000", ":14001");
    site.csr("ours", &["example.test"]);
    let ours = "www: {names: [example.test], keys: {active: {csr: ours.csr}}}";
    site.configure(&[ZONE], &[ours, "other: {names: [example.test], keys: managed}"]);
    site.run(&["apply", "other"]).ends(0);

    let instead = site.lab.dir().join("instead.pem");
    let sign = |name: &str, when: &str, days: &str| {
        let names = format!("subjectAltName=DNS:{name}");
        let arguments =
            ["-f", when, "openssl", "req", "-x509", "-new", "-key", "ours.key", "-subj", "/CN=Test"];
        let more = [
            "-addext",
            &names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-days",
            days,
            "-out",
            "instead.pem",
        ];
        site.lab.run("faketime", &[&arguments[..], &more].concat());
    };
    let cases: [(&str, &dyn Fn()); 4] = [
        ("is for the key", &|| {
            fs::copy(site.live("other").join("fullchain.pem"), &instead).unwrap();
        }),
        ("is for www.example.test, ordered was example.test", &|| sign("www.example.test", "+0d", "9")),
        ("expired at", &|| sign("example.test", "-400d", "9")),
        ("is valid from", &|| sign("example.test", "+30d", "9")),
    ];
    for (word, make) in cases {
        make();
        site.run(&["apply", "www", "--now"]).ends(69).says(&[
            word,
            "accept the certificate",
            "was not installed",
        ]);
        assert!(!site.installed("www"), "{word}");
        site.no_challenge_left(&["example.test"]);
    }
    fs::remove_file(&instead).unwrap();
    site.run(&["apply", "www", "--now"]).ends(0);
    assert_eq!(site.leaf_spki("www"), site.spki("req", "ours.csr"));
    between.kill().unwrap();
    between.wait().unwrap();
}
