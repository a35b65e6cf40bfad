//! Files for a server and the reload command, with certificates of a real CA.

use crate::first::quick;
use crate::site::Site;
use crate::support::Lab;
use std::fs;

#[test]
fn the_reload_command_runs_once_per_installation_and_again_after_a_failure() {
    let site = Site::new(Lab::start(quick()));
    let log = site.lab.dir().join("reload.log");
    let script = site.lab.dir().join("reload.sh");
    let body = |end: &str| {
        format!("#!/bin/sh\nenv >> {}\necho END >> {}\nexit {end}\n", log.display(), log.display())
    };
    fs::write(&script, body("3")).unwrap();
    site.configure(
        &["example.test: {provider: home, propagation: 15s, ttl: {txt: 5}}"],
        &[&format!(
            "www: {{names: [example.test], keys: managed, deploy: {{dir: tls, reload: [/bin/sh, {}]}}}}",
            script.display()
        )],
    );
    let runs = || fs::read_to_string(&log).unwrap_or_default().matches("END").count();

    site.apply().ends(74).says(&["reload.sh", "The new certificate is installed"]);
    assert!(site.installed("www"));
    assert_eq!(runs(), 1);
    let deployed = || fs::read_to_string(site.lab.dir().join("tls/chains.pem")).unwrap();
    let installed = || fs::read_to_string(site.live("www").join("keyandchain.pem")).unwrap();
    assert_eq!(deployed(), installed(), "the files are there before the command runs");
    fs::write(&script, body("0")).unwrap();
    let output = site.command(&["apply"]).env("SECRET_OF_MINE", "hidden").output().unwrap();
    assert!(output.status.success());
    assert_eq!(runs(), 2, "a failed command runs again");
    site.apply().ends(0);
    assert_eq!(runs(), 2, "and then no more");
    assert_eq!(site.lab.counts().orders, 1);

    let former = deployed();
    site.age("www");
    site.apply().ends(0);
    assert_eq!((deployed(), runs()), (installed(), 3), "a renewal is deployed");
    assert_ne!(deployed(), former);

    let text = fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("DANESMITH_CERTIFICATE=www")
            && text.contains("DANESMITH_LIVE=/")
            && text.contains("DANESMITH_DIR=/")
    );
    assert!(!text.contains("SECRET_OF_MINE") && !text.contains("HOME="), "{text}");
}
