//! What a person sees on a terminal.

use crate::first::quick;
use crate::site::Site;
use crate::support::Lab;

#[test]
fn a_terminal_shows_how_far_the_run_is_and_a_pipe_shows_nothing() {
    let site = Site::new(Lab::start(quick()));
    site.configure(
        &["example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}"],
        &["www: {names: [example.test], keys: managed}"],
    );
    let apply = format!("{} apply", env!("CARGO_BIN_EXE_danesmith"));
    let seen = site.lab.run("script", &["-qec", &apply, "/dev/null"]);
    assert!(seen.contains("www: "), "{seen}");
    let steps =
        ["publishing TXT", "ordering", "the CA validates", "installing", "reading the authorizations"];
    assert!(steps.iter().any(|step| seen.contains(step)), "{seen}");
    assert!(seen.contains("installed, valid until"), "{seen}");
    site.age("www");
    let piped = site.lab.command("danesmith").arg("apply").output().unwrap();
    assert_eq!(String::from_utf8(piped.stderr).unwrap(), "");
    assert!(String::from_utf8(piped.stdout).unwrap().contains("installed, valid until"));
}
