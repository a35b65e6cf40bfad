//! Answers that must not be believed.

use super::*;

#[tokio::test]
async fn no_lie_is_taken_for_success() {
    let lies = [
        Lie::Unsigned,
        Lie::EmptyMac,
        Lie::OtherSecret,
        Lie::OtherName,
        Lie::Unbound,
        Lie::Future,
        Lie::Tail,
        Lie::Garbage,
        Lie::Empty,
        Lie::WrongId,
        Lie::Echo,
    ];
    let targets = [(name(PINS), TLSA)];
    for transport in [Transport::Tcp, Transport::Udp] {
        let quick = |c: &mut Config| {
            c.transport = transport.clone();
            c.timeout = Duration::from_millis(600);
        };
        let honest = Liar::start(Lie::Honest).await;
        let control = provider(honest.address, quick);
        control.preflight(&zone(), &targets).await.unwrap();
        control.list(&zone(), &targets[0].0, TLSA).await.unwrap();
        join_all(lies.iter().map(async |lie| {
            let liar = Liar::start(*lie).await;
            let provider = provider(liar.address, quick);
            let update = provider.preflight(&zone(), &targets).await;
            let list = provider.list(&zone(), &targets[0].0, TLSA).await;
            assert!(update.is_err() && list.is_err(), "{transport:?} {lie:?}: {update:?} {list:?}");
        }))
        .await;

        let replay = Liar::start(Lie::Replay).await;
        let provider = provider(replay.address, quick);
        provider.preflight(&zone(), &targets).await.unwrap();
        assert!(provider.preflight(&zone(), &targets).await.is_err(), "{transport:?} replay");
    }
}

#[tokio::test]
async fn forged_datagrams_do_not_keep_the_real_answer_out() {
    let liar = Liar::start(Lie::ForgeriesFirst).await;
    let provider = provider(liar.address, |c| c.transport = Transport::Udp);
    provider.preflight(&zone(), &[(name(PINS), TLSA)]).await.unwrap();
    assert_eq!(provider.counters().updates, 1);
}

#[tokio::test]
async fn noerror_without_the_records_is_no_success() {
    let forgetful = Liar::start(Lie::Honest).await; // takes every update and never holds anything
    let error = provider(forgetful.address, |_| {}).apply(&zone(), &four()).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert!(error.message.contains("answered NOERROR, but after 5 s the records are not there"), "{error}");
}

#[tokio::test]
async fn a_race_that_is_never_won_ends_and_says_nxrrset() {
    let contested = Liar::start(Lie::Contested).await;
    let provider = provider(contested.address, |_| {});
    let error = provider.apply(&zone(), &four()).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert!(error.message.contains("kept changing") && error.message.contains("NXRRSET"), "{error}");
    assert!(error.hint.unwrap().contains("who else writes there"));
    assert_eq!(provider.counters().updates, 31);
}

#[tokio::test]
async fn a_value_that_a_lagging_copy_does_not_show_yet_is_removed_all_the_same() {
    let lagging = Liar::start(Lie::Lagging).await;
    let provider = provider(lagging.address, |_| {});
    let seen = provider.list(&zone(), &name(CHALLENGE), TXT).await.unwrap();
    assert_eq!(seen.values, [], "the copy lags");
    let gone = [change(CHALLENGE, &[], &[txt("just written")])];
    assert_eq!(provider.apply(&zone(), &gone).await.unwrap(), Applied { writes: 1 });
    assert!(lagging.has_removed());
}
