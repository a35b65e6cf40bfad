//! Records: usable or not, wise or not, and what usages 2 and 3 ask for.

use super::*;

#[test]
fn records_that_no_sender_can_use_are_errors() {
    for (record, check) in [
        (tlsa(1, 1, 1, &[1; 32]), "usage-unusable"),
        (tlsa(0, 0, 1, &[1; 32]), "usage-unusable"),
        (tlsa(3, 1, 1, &[1; 31]), "digest-length"),
        (tlsa(3, 1, 2, &[1; 32]), "digest-length"),
        (tlsa(3, 1, 1, &Sha256::digest(b"")), "empty-digest"),
        (tlsa(3, 1, 1, &[]), "digest-length"),
        (tlsa(4, 1, 1, &[1; 32]), "parameters-unknown"),
        (tlsa(3, 2, 1, &[1; 32]), "parameters-unknown"),
        (tlsa(3, 1, 3, &[1; 32]), "parameters-unknown"),
    ] {
        let findings = with(|s, chain| publish(s, &[pin(chain), record.clone()]));
        assert_eq!(findings[0], (Error, check), "{record}");
        assert!(findings.iter().all(|(severity, _)| *severity != Critical), "{record}: {findings:?}");
        // alone it is as if there were no record: encryption without authentication
        assert_eq!(with(|s, _| publish(s, std::slice::from_ref(&record)))[0], (Error, check), "{record}");
    }
    let on_https = |s: &mut Survey, chain: &[Vec<u8>]| {
        publish(s, &[tlsa(1, 1, 1, &Sha256::digest(spki(&chain[0])))]);
        s.hosts[0].endpoint.protocol = Protocol::Tls;
        s.hosts[0].endpoint.port = 443;
    };
    assert_eq!(with(on_https), [(Warn, "no-backup")]);
}

#[test]
fn usage_2_wants_anchor_name_and_dates() {
    let anchor = |chain: &[Vec<u8>]| tlsa(2, 1, 1, &Sha256::digest(spki(&chain[1])));
    let good = issued("mx1.example.org", 2040);
    assert_eq!(with_chain(&good, &[anchor(&good)]), []);
    let wildcard = issued("*.example.org", 2040);
    assert_eq!(with_chain(&wildcard, &[anchor(&wildcard)]), []);
    let of_the_domain = issued("example.org", 2040);
    assert_eq!(with_chain(&of_the_domain, &[anchor(&of_the_domain)]), []);

    let named_otherwise = issued("mail.example.org", 2040);
    let expired = issued("mx1.example.org", 2026);
    let issuer = anchor(&good);
    let alone = vec![good[0].clone()];
    let elsewhere = vec![self_signed().remove(0), good[1].clone()];
    for (chain, record, check) in [
        (&named_otherwise, anchor(&named_otherwise), "ta-name"),
        (&expired, anchor(&expired), "ta-dates"),
        (&alone, issuer.clone(), "ta-absent"),
        (&expired, issuer.clone(), "ta-absent"),
        (&elsewhere, issuer.clone(), "ta-chain"),
    ] {
        let both = [(Critical, "no-match"), (Error, check)];
        assert_eq!(with_chain(chain, std::slice::from_ref(&record)), both);
        // beside a pin that matches mail flows, and the error stays
        assert_eq!(with_chain(chain, &[pin(chain), record]), [(Error, check)]);
    }
}

#[test]
fn usage_3_minds_neither_names_nor_dates() {
    let expired = issued("mail.example.net", 2021);
    assert_eq!(with_chain(&expired, &[pin(&expired), spare(1)]), []);
    let whole = tlsa(3, 0, 1, &Sha256::digest(&expired[0]));
    assert_eq!(with_chain(&expired, &[whole, tlsa(3, 0, 1, &[1; 32])]), [(Warn, "selector-0"); 2]);
    let leaf_as_anchor = tlsa(2, 1, 1, &Sha256::digest(spki(&expired[0])));
    assert_eq!(with_chain(&expired, &[leaf_as_anchor])[0], (Critical, "no-match"));
}

#[test]
fn unwise_records_are_told() {
    let full = |s: &mut Survey, chain: &[Vec<u8>]| {
        publish(s, &[tlsa(3, 1, 0, &spki(&chain[0])), tlsa(3, 1, 0, &[1; 91])])
    };
    assert_eq!(with(full), [(Warn, "full-data"); 2]);
    let mixed = |s: &mut Survey, chain: &[Vec<u8>]| {
        publish(s, &[pin(chain), tlsa(3, 1, 2, &Sha512::digest(spki(&chain[0])))]);
    };
    assert_eq!(with(mixed), [(Warn, "mixed-matching"), (Warn, "no-backup")]);
    for (ttl, expected) in
        [(299, vec![(Warn, "ttl")]), (300, vec![]), (86_400, vec![]), (86_401, vec![(Warn, "ttl")])]
    {
        assert_eq!(with(|s, _| s.hosts[0].tlsa.ttl = ttl), expected, "{ttl}");
    }
}
