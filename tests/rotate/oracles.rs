//! What clients that are not ours think of a site while danesmith rotates its keys (`tests/lab/oracle`).

use crate::post::{HOST, Post};
use crate::support::mail::MailServer;

/// Those who judge a handshake or its certificate; delv judges the records alone.
const CLIENTS: [&str; 4] = ["openssl", "posttls-finger", "ldns-dane", "danetool"];

/// Every client finds, at every server and for every algorithm, a key that is pinned, by records that validate.
#[track_caller]
pub(crate) fn all_match(post: &Post, servers: &[MailServer], algorithms: &[&str], when: &str) {
    let opinions = post.lab.oracle(HOST, 25);
    let said = |who: &str| {
        let of_client =
            opinions.iter().filter(|opinion| opinion.who == who && opinion.verdict != "unoffered");
        let mut said: Vec<String> =
            of_client.map(|o| format!("{} {} {}", o.address, o.algorithm, o.verdict)).collect();
        said.sort();
        said
    };
    assert_eq!(said("delv"), ["- - match"], "{when}: {opinions:#?}");
    let mut wanted: Vec<String> = servers
        .iter()
        .flat_map(|server| {
            algorithms.iter().map(|algorithm| format!("{} {algorithm} match", server.address()))
        })
        .collect();
    wanted.sort();
    for who in CLIENTS {
        assert_eq!(said(who), wanted, "{when}, {who}: {opinions:#?}");
    }
}
