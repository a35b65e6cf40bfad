//! Secrets stay where they belong: in files of 0600 from their first moment, and nowhere else.

use crate::scene::{Scene, told};
use crate::support::Daemon;
use crate::sweeper::tool;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Writes its environment and its arguments down.
const RELOAD: &str = r#"    deploy: {reload: [sh, -c, "env >said/reload.env; tr '\\0' '\\n' </proc/$$/cmdline >said/reload.argv"]}"#;
/// The same for the command that tells a secret.
const COMMAND: &str = r#"secret: {command: [sh, -c, "env >said/command.env; cat tsig.secret"]}"#;

#[test]
fn without_umask_every_file_is_private_from_its_first_moment() {
    let scene = Scene::new();
    let trace = scene.lab.dir().join("trace");
    let script = "umask 000; exec strace -f -o trace -e trace=%file,fchmod \"$@\"";
    scene.forget_dns();
    let mut command = scene.lab.command("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_danesmith"), "apply"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));

    let mut files = 0;
    for path in walk(&scene.state()) {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if !metadata.is_symlink() {
            let mode = metadata.permissions().mode() & 0o7777;
            assert_eq!(mode, if metadata.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            files += usize::from(metadata.is_file());
        }
    }
    let trace = fs::read_to_string(trace).unwrap();
    assert!(!trace.contains("chmod"), "a mode was changed after the creation");
    let created: Vec<&str> =
        trace.lines().filter(|l| l.contains("O_CREAT") && !l.contains("/dev/")).collect();
    for line in &created {
        assert!(line.contains(", 0600"), "{line}");
    }
    for line in trace.lines().filter(|l| l.contains("mkdir(")) {
        assert!(line.contains(", 0700"), "{line}");
    }
    assert!(created.len() >= files && files > 10, "{} creations, {files} files", created.len());
    println!("umask 000: {files} files 0600, {} creations with 0600, no chmod", created.len());
}

#[test]
fn no_secret_is_told_to_anyone() {
    let scene = Scene::with("secret: {env: CANARY_TSIG}", RELOAD);
    let lab = &scene.lab;
    let secret = lab.read("tsig.secret").trim().to_owned();
    let said = lab.dir().join("said");
    fs::create_dir(&said).unwrap();
    let yaml = lab.read("zones.yaml");
    lab.run("openssl", &["rand", "-base64", "-out", "wrong.secret", "32"]);
    let other = |secret: &str| yaml.replace("secret: {env: CANARY_TSIG}", secret);
    fs::write(lab.dir().join("command.yaml"), other(COMMAND)).unwrap();
    fs::write(lab.dir().join("wrong.yaml"), other("secret: {file: wrong.secret}")).unwrap();

    let listen = |name: &str, code: i32, args: &[&str]| {
        scene.forget_dns();
        let output = lab.command("danesmith").env("CANARY_TSIG", &secret).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {}", told(&output));
        keep(&said, name, &output);
    };
    listen("first", 0, &["-vvv", "apply"]);
    listen("json", 0, &["-vvv", "--json", "apply"]);
    listen("status", 0, &["-vvv", "--json", "status"]);
    listen("plan", 0, &["-vvv", "plan"]);
    listen("account", 0, &["-vvv", "account", "show"]);
    scene.make_renewal_due();
    listen("command", 0, &["-vvv", "-c", "command.yaml", "--json", "apply"]);
    scene.make_renewal_due();
    let memory = scene.state().join("memory.json");
    let _ = fs::rename(&memory, said.join("memory.json")); // forgets that the credentials were proven
    listen("wrong", 77, &["-vvv", "-c", "wrong.yaml", "apply"]);
    lab.stop_daemon(Daemon::Pebble);
    listen("down", 69, &["-vvv", "apply"]);
    listen("down-json", 69, &["-vvv", "--json", "apply"]);

    for file in ["reload.env", "reload.argv", "command.env"] {
        assert!(!fs::read(said.join(file)).unwrap().is_empty(), "{file} tells nothing");
    }
    let state: Vec<PathBuf> = walk(&scene.state());
    let open = state.iter().filter(|p| p.extension().is_some_and(|e| e == "json") || p.ends_with("lock"));
    let keys: Vec<&PathBuf> = state.iter().filter(|p| is_key(p)).collect();
    assert_eq!(keys.len(), 3, "account, active and backup key: {keys:?}");
    let canary = Canary::new(&lab.dir().join("tsig.secret"), &lab.dir().join("wrong.secret"), &keys, &state);
    assert_eq!(canary.look(&[&said].into_iter().chain(open).collect::<Vec<_>>()), (0, String::new()));
    let told_on_purpose = lab.dir().join("told");
    fs::write(&told_on_purpose, format!("the secret is {secret}")).unwrap();
    assert_eq!(canary.look(&[&told_on_purpose]).0, 1, "the canary sings when it should");
}

fn keep(said: &Path, name: &str, output: &Output) {
    fs::write(said.join(format!("{name}.out")), &output.stdout).unwrap();
    fs::write(said.join(format!("{name}.err")), &output.stderr).unwrap();
}

/// A file that holds one private key and nothing else.
fn is_key(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    path.ends_with("key.pem") || folder == "keys"
}

/// The program `canary` with everything that is secret, and the certificates, which are not.
struct Canary {
    args: Vec<PathBuf>,
}

impl Canary {
    fn new(tsig: &Path, wrong: &Path, keys: &[&PathBuf], state: &[PathBuf]) -> Canary {
        let mut args: Vec<PathBuf> = Vec::new();
        for file in keys.iter().map(|k| k.as_path()).chain([tsig, wrong]) {
            args.extend(["--secret-file".into(), file.to_owned()]);
        }
        for file in state.iter().filter(|p| p.ends_with("cert.pem")) {
            args.extend(["--public-file".into(), file.clone()]);
        }
        Canary { args }
    }

    /// Its exit code, and what it found.
    fn look(&self, paths: &[&PathBuf]) -> (i32, String) {
        let output = Command::new(tool("canary")).args(&self.args).arg("--").args(paths).output().unwrap();
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        let broken = String::from_utf8_lossy(&output.stderr);
        assert!(broken.is_empty(), "{broken}");
        (output.status.code().unwrap(), found)
    }
}

/// Everything below a folder, and the folder itself.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() { all.extend(walk(&path)) } else { all.push(path) }
    }
    all
}
