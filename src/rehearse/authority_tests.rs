//! The CA's rules, one by one.
#![allow(clippy::unwrap_used)]

use super::*;

fn at(date: &str) -> Moment {
    format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn names() -> Vec<String> {
    vec!["mx.example.org".to_owned()]
}

fn issued(at: Moment, names: &[String], renewal: bool) -> Issued {
    Issued { at, names: names.to_vec(), renewal }
}

fn signed(from: Moment, until: Moment) -> Certificate {
    Certificate { names: names(), from, until, urgent: None, replaced: false }
}

#[test]
fn lifetimes_shrink_at_the_announced_dates_and_other_profiles_have_their_own() {
    for (date, days) in [
        ("2026-11-23", 90),
        ("2027-02-09", 90),
        ("2027-02-10", 64),
        ("2028-02-15", 64),
        ("2028-02-16", 45),
        ("2035-01-01", 45),
    ] {
        assert_eq!(Profile::Classic.lifetime(at(date)), days * DAY, "{date}");
        assert_eq!(Profile::TlsServer.lifetime(at(date)), 45 * DAY);
        assert_eq!(Profile::ShortLived.lifetime(at(date)), 160 * HOUR);
    }
    assert_eq!(Profile::named(None), Some(Profile::Classic));
    assert_eq!(Profile::named(Some("tlsclient")), None);
}

#[test]
fn windows_are_two_hundredths_wide_around_a_third_or_half_before_the_end() {
    let long = signed(0, 90 * DAY - 1000);
    assert_eq!(long.window(), (60 * DAY - 1000 - 9 * DAY / 10, 60 * DAY - 1000 + 9 * DAY / 10));
    let short = signed(0, 160 * HOUR - 1000);
    assert_eq!(short.window(), (80 * HOUR - 1000 - 96 * 60_000, 80 * HOUR - 1000 + 96 * 60_000));
    let revoked = Certificate { urgent: Some(DAY), ..signed(0, 90 * DAY) };
    assert_eq!(revoked.window(), (23 * HOUR, 23 * HOUR + 30 * 60_000));
}

#[test]
fn a_replacement_in_its_time_counts_for_no_limit_and_is_taken_once() {
    let mut authority = Authority::default();
    authority.certificates.insert("a.1".into(), signed(0, 90 * DAY - 1000));
    assert_eq!(authority.replaces("a.1", &names(), 60 * DAY), Ok(true));
    assert_eq!(authority.replaces("a.1", &names(), 50 * DAY), Ok(false));
    assert!(authority.replaces("a.2", &names(), 60 * DAY).is_err());
    assert!(authority.replaces("a.1", &["www.example.org".into()], 60 * DAY).is_err());
    authority.certificates.get_mut("a.1").unwrap().replaced = true;
    assert!(authority.replaces("a.1", &names(), 60 * DAY).unwrap_err().contains("alreadyReplaced"));
}

#[test]
fn the_sixth_certificate_for_the_same_names_waits_for_the_first_to_be_a_week_old() {
    let all = (0..5).map(|hour| issued(hour * HOUR, &names(), hour > 0)).collect();
    let mut authority = Authority { issued: all, ..Authority::default() };
    let limit = |now| authority.limit(&names(), &[], |_| None, now);
    assert_eq!(limit(6 * HOUR).map(|(_, until)| until), Some(7 * DAY));
    assert_eq!(limit(7 * DAY), None);
    authority.issued.push(issued(6 * HOUR, &["other.example.org".to_owned()], false));
    let zone = |_: &str| Name::from_ascii("example.org.").ok();
    assert_eq!(authority.busiest(zone), [2, 5, 0, 0]);
    let zone = |name: &str| Name::from_ascii(name).ok();
    assert_eq!(authority.busiest(zone)[0], 1, "one in each of two domains");
}

#[test]
fn the_fifty_first_new_set_of_a_domain_is_limited_and_a_renewal_is_not() {
    let of = |n: i64| vec![format!("n{n}.example.org")];
    let all = (0..50).map(|n| issued(n, &of(n), false)).collect();
    let mut authority = Authority { issued: all, ..Authority::default() };
    authority.certificates.insert("a.1".into(), Certificate { names: of(1), ..signed(0, DAY) });
    let apex = Name::from_ascii("example.org.").unwrap();
    let limit =
        |names: &[String]| authority.limit(names, std::slice::from_ref(&apex), |_| Some(apex.clone()), HOUR);
    assert_eq!(limit(&of(50)).map(|(_, until)| until), Some(7 * DAY));
    assert_eq!(limit(&of(1)), None);
}

#[test]
fn orders_and_failed_validations_have_limits_of_their_own() {
    let mut authority = Authority::default();
    for n in 0..300 {
        authority.order(&[format!("n{n}.example.org")], (Profile::Classic, false), n);
    }
    assert_eq!(authority.limit(&names(), &[], |_| None, HOUR).map(|(_, until)| until), Some(3 * HOUR));
    assert_eq!(authority.limit(&names(), &[], |_| None, 3 * HOUR), None);
    let mut authority = Authority::default();
    for n in 0..5 {
        let order = authority.order(&names(), (Profile::Classic, false), n);
        authority.authorizations[order].state = State::Answered(n);
        authority.validate(n, |_, _, _| Err("no TXT record found (unauthorized)".into()));
        assert_eq!(authority.status(order, n), Some(OrderStatus::Invalid));
    }
    assert_eq!(authority.limit(&names(), &[], |_| None, 10).map(|(_, until)| until), Some(HOUR));
    assert_eq!(authority.busiest(|_| None), [0, 0, 5, 5]);
}

#[test]
fn a_proof_is_taken_for_ten_days_and_no_longer() {
    let (mut authority, begin) = (Authority::default(), at("2027-03-01"));
    let order = |authority: &mut Authority, at| authority.order(&names(), (Profile::Classic, false), at);
    let first = order(&mut authority, begin);
    assert_eq!(authority.status(first, begin), Some(OrderStatus::Pending));
    authority.authorizations[0].state = State::Answered(begin);
    authority.validate(begin, |_, _, _| Ok(()));
    assert_eq!(authority.status(first, begin), Some(OrderStatus::Ready));
    let soon = order(&mut authority, begin + 9 * DAY);
    assert_eq!(authority.status(soon, begin + 9 * DAY), Some(OrderStatus::Ready));
    let late = order(&mut authority, begin + 10 * DAY);
    assert_eq!(authority.status(late, begin + 10 * DAY), Some(OrderStatus::Pending));
}
