//! What every provider must do, written once over the contract and run for each way to write: PowerDNS by its HTTP
//! interface, and RFC 2136 at PowerDNS, BIND and Knot. Each test starts its own server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, missing_docs)]

#[path = "conformance/site.rs"]
mod site;
#[path = "conformance/suite.rs"]
mod suite;
mod support;

use site::{Site, Way};

// What only HTTP has (429 with Retry-After in both forms, a body without end, a redirect to another host) is in
// `http/hostile.rs` and `http/bounds.rs`: DNS has no such answers. Its own lies, unsigned, replayed or cut short, are in
// `rfc2136/lies.rs`.

/// Every sentence of the suite for one way.
macro_rules! conforms {
    ($module:ident, $way:expr, $($sentence:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $sentence() {
                    suite::$sentence(Site::start($way)).await;
                }
            )*
        }
    };
}

/// The suite, and who must pass it.
macro_rules! everyone {
    ($($sentence:ident)*) => {
        conforms!(powerdns_http, Way::PowerDnsHttp, $($sentence)*);
        conforms!(powerdns_update, Way::PowerDnsUpdate, $($sentence)*);
        conforms!(bind, Way::Bind, $($sentence)*);
        conforms!(knot, Way::Knot, $($sentence)*);
    };
}

everyone! {
    two_txt_values_stand_at_one_name_and_go_one_by_one
    a_pair_of_pins_goes_up_together_and_the_old_one_comes_down
    several_names_change_in_one_call
    foreign_values_survive_and_keep_their_ttl
    the_apex_and_long_values_are_written_like_others
    applying_twice_writes_once
    twelve_writers_lose_nothing
    a_preflight_leaves_nothing
    an_alias_is_a_conflict
    a_wrong_key_is_told_as_such
    an_unknown_zone_is_told_as_such
    a_killed_server_is_transient
    what_is_no_answer_is_never_believed
    the_zone_of_a_name_is_found
}

// Only PowerDNS' databases have disabled records.
conforms!(
    disabled_at_powerdns_http,
    Way::PowerDnsHttp,
    disabled_records_survive_where_nothing_else_stands
    disabled_records_survive_beside_others
);
conforms!(
    disabled_at_powerdns_update,
    Way::PowerDnsUpdate,
    disabled_records_survive_where_nothing_else_stands
    disabled_records_beside_others_are_lost_to_powerdns_itself
);
