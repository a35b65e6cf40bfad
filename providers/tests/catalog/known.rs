//! Every service that is known to be able to do TLSA has a file, or there is a reason.

use super::files::{catalog, spec};
use hickory_proto::rr::RecordType;
use std::collections::BTreeSet;

/// What says so, and our files for it. Looked up in August and November 2026.
const KNOWN: [(&str, &[&str]); 9] = [
    (
        // AXFRDDNS and BIND are `rfc2136`; HETZNER_V2 is hetznercloud.
        "DNSControl's table of providers (`CanUseTLSA`)",
        &[
            "cloudflare",
            "cloudns",
            "cnr",
            "desec",
            "dnscale",
            "edgedns",
            "gandi",
            "gcloud",
            "hetznercloud",
            "hostingde",
            "infomaniak",
            "inwx",
            "loopia",
            "luadns",
            "mythicbeasts",
            "netcup",
            "netnod",
            "nexdns",
            "ns1",
            "oracle",
            "ovh",
            "porkbun",
            "powerdns",
            "route53",
            "transip",
        ],
    ),
    (
        "dns-update 0.6.1 (sends TLSA)",
        &[
            "arvancloud",
            "autodns",
            "bunny",
            "dnsimple",
            "dynu",
            "hostinger",
            "infoblox",
            "scaleway",
            "simply",
            "spaceship",
            "ultradns",
            "zoneeu",
        ],
    ),
    ("Azure's REST specification 2023-07-01-preview (TLSARecords)", &["azure"]),
    ("the vendor's own domeneshop/python-domeneshop", &["domeneshop"]),
    ("F5's API description (ves.io.schema.dns_zone.rrset: tlsa_record)", &["f5xc"]),
    (
        "the vendor's own pages, descriptions or programs (list of types)",
        &["ionoscloud", "leaseweb", "openprovider", "opusdns", "poweradmin", "servercow", "stackit"],
    ),
    ("ansible-collections/community.dns (sends TLSA)", &["hosttech"]),
    ("mimuret/golang-iij-dpf (list of types)", &["iijdpf"]),
    (
        // hosting.de's interface at another address; PowerDNS' API; the server's own documentation.
        "kin of the above, and servers",
        &["httpnet", "rcodezero", "technitium"],
    ),
];

/// Known to be able to, without a file.
const MISSING: [(&str, &str); 7] = [
    (
        "Realtime Register (DNSControl)",
        "its reference says of `records` in a zone's update: \"If provided, replaces the full record set\"; a lost update there \
         could take anybody's records",
    ),
    ("Hetzner DNS Console (DNSControl)", "closed; hetznercloud is its successor"),
    (
        "HEXONET (DNSControl's older table)",
        "DNSControl has CentralNic Reseller, of the same house, in a file of its own: cnr; HEXONET's interface was not looked up",
    ),
    ("Dyn Managed DNS (help.dyn.com: TLSARecord)", "the vendor has ended the service"),
    (
        "ResellerInterface (resellerinterface/plesk-dns-client)",
        "the reference of its interface was not found; the vendor's clients are general and show no request for DNS",
    ),
    (
        "Mijndomeinreseller and Nextname (their knowledge base: DNS zone, records update)",
        "how a request is signed and how records are listed was not found",
    ),
    (
        "Namefi (docs.namefi.io: create DNS record)",
        "its reference gives the address of a test system only; how records are listed was not read",
    ),
];

#[test]
fn every_service_known_to_do_tlsa_has_a_file_or_a_reason() {
    let does = |name: &str| spec(name).types.contains(&RecordType::TLSA);
    let known: Vec<&str> = KNOWN.iter().flat_map(|(_, files)| files.iter().copied()).collect();
    let named: BTreeSet<&str> = known.iter().copied().collect();
    assert_eq!(known.len(), named.len(), "a file is named twice");
    for name in &known {
        assert!(does(name), "{name} is known to do TLSA, and its file does not");
    }
    let unknown: Vec<String> = catalog()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| does(name) && !named.contains(name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "says TLSA, and nobody is named who knows it: {unknown:?}");
    for (service, reason) in MISSING {
        assert!(reason.split(' ').count() > 4, "{service}: that is no reason");
    }
}
