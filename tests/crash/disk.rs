//! A disk that is really full.

use crate::scene::{Scene, told};
use std::fs;

/// What servers read, in a state directory that only the world sees.
const LIVE: [&str; 4] = [
    "state/certificates/mx1/live/cert.pem",
    "state/certificates/mx1/live/fullchain.pem",
    "state/certificates/mx1/live/privkey.pem",
    "state/certificates/mx1/live/keyandchain.pem",
];
/// Lets the state document say that the certificate has ended long ago.
const AGE: &str = r#"s/"not_after": "[0-9]*/"not_after": "2020/"#;

#[test]
fn a_full_disk_is_told_with_its_remedy_and_keeps_the_old_certificate() {
    let scene = Scene::new();
    fs::create_dir(scene.state()).unwrap();
    scene.lab.run("mount", &["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", "state"]);
    scene.apply_well("with room on the disk");
    scene.lab.run("sed", &["-i", AGE, "state/certificates/mx1/state.json"]);
    let old = scene.lab.run("sha256sum", &LIVE);
    let pins = scene.pins();

    fill(&scene);
    let output = scene.apply().output().unwrap();
    let said = told(&output);
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains("hint: free space on this file system"), "{said}");
    assert!(said.contains("state/certificates/mx1/"), "{said}");
    assert_eq!(scene.lab.run("sha256sum", &LIVE), old);
    assert_eq!(scene.pins(), pins);
    scene.assert_only_foreign_challenge(&said);

    scene.lab.run("rm", &["state/ballast"]);
    scene.apply_well("with room again");
    assert_ne!(scene.lab.run("sha256sum", &LIVE), old);
    assert_eq!(scene.pins(), pins);
    scene.assert_only_foreign_challenge("with room again");
}

/// Writes until no byte is left.
fn fill(scene: &Scene) {
    let output =
        scene.lab.command("dd").args(["if=/dev/zero", "of=state/ballast", "bs=1k"]).output().unwrap();
    assert!(told(&output).contains("No space left"), "{}", told(&output));
}
