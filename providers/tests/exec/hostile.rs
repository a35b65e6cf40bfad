//! Plugins that hang, babble, lie, crash or leak. None of them may hang us, deceive us, or get a secret into a log.

use crate::support::{change, name, txt, zone};
use crate::tools::*;
use danesmith_providers::exec::{ExecProvider, Options, Setting, Settings};
use danesmith_providers::{Class, Error, Provider};
use hickory_proto::rr::RecordType;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CANARY: &str = "c4n4ry/Hunter2+c4n4ry";
const HELLO: &str = r#"{"id":1,"ok":{"protocol":1,"types":["TXT","TLSA"],"atomic":"value"}}"#;
const ZONE: &str = r#"{"id":2,"ok":{"name":"example.test"}}"#;
const EMPTY: &str = r#"{"id":3,"ok":{"records":[]}}"#;

/// A plugin that answers with `lines`, one per request, and then does `then`.
fn script(dir: &Dir, lines: &[&str], then: &str) -> PathBuf {
    let answers: String = lines.iter().map(|line| format!("read -r _; printf '%s\\n' '{line}'\n")).collect();
    dir.program("plugin", &format!("#!/bin/sh\necho run >>{}\n{answers}{then}\n", dir.path("runs").display()))
}

fn runs(dir: &Dir) -> usize {
    dir.read("runs").lines().count()
}

fn secrets() -> Settings {
    Settings::from([("token".to_owned(), Setting::Secret(CANARY.to_owned().into()))])
}

async fn impatient(program: PathBuf) -> Result<ExecProvider, Error> {
    open_with(&program, secrets(), |options| options.request = Duration::from_millis(1500)).await
}

async fn list(provider: &ExecProvider) -> Result<usize, Error> {
    provider.list(&zone(), &name("a.example.test."), RecordType::TXT).await.map(|set| set.values.len())
}

/// Whether a process whose id stands in `file` is alive; zombies are not.
fn alive(dir: &Dir, file: &str) -> bool {
    let id = dir.read(file);
    assert!(!id.trim().is_empty(), "{file} was never written");
    let status = std::fs::read_to_string(format!("/proc/{}/status", id.trim())).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

async fn gone(dir: &Dir, file: &str) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while alive(dir, file) {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[tokio::test]
async fn a_plugin_that_hangs_is_killed_with_its_children() {
    let dir = Dir::new();
    let then = format!(
        "sleep 300 & echo $! >{0}/child; echo $$ >{0}/leader; trap '' TERM INT; while :; do sleep 1; done",
        dir.0.display()
    );
    let provider = impatient(script(&dir, &[HELLO], &then)).await.unwrap();
    let started = Instant::now();
    let error = provider.preflight(&zone(), &[(name("a.example.test."), RecordType::TXT)]).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(error.message.contains("no answer within"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(gone(&dir, "leader").await && gone(&dir, "child").await);
}

#[tokio::test]
async fn a_plugin_that_does_not_greet_is_killed() {
    let dir = Dir::new();
    let program = dir.program(
        "plugin",
        &format!("#!/bin/sh\necho $$ >{}\nexec sleep 300\n", dir.path("leader").display()),
    );
    let error = impatient(program).await.unwrap_err();
    assert_eq!(error.class, Class::Transient, "{error}");
    assert!(gone(&dir, "leader").await);
}

#[tokio::test]
async fn whatever_is_no_answer_is_a_defect_of_the_plugin() {
    let long = format!(r#"{{"id":3,"ok":{{"records":[],"x":"{}"}}}}"#, "x".repeat(2 * 1024 * 1024));
    for (third, expected) in [
        ("garbage", "not JSON as agreed"),
        (r#"{"id":3}"#, "exactly one of"),
        (r#"{"id":3,"ok":{},"error":{"class":"auth"}}"#, "exactly one of"),
        (r#"{"id":7,"ok":{"records":[]}}"#, "answers request 7, asked was 3"),
        (r#"{"ok":{"records":[]}}"#, "not JSON as agreed"),
        (r#"{"id":3,"ok":{"records":"none"}}"#, "in a way we do not understand"),
        (r#"{"id":3,"ok":{"records":[{"value":"\"open","ttl":1}]}}"#, "a quotation mark is missing"),
        (r#"{"id":3,"error":{"class":"tired","message":"no"}}"#, "unknown class `tired`"),
        (long.as_str(), "longer than 1048576 octets"),
    ] {
        let dir = Dir::new();
        std::fs::write(dir.path("third"), format!("{third}\n")).unwrap();
        let then = format!("read -r _; cat {}; sleep 300", dir.path("third").display());
        let provider = open(&script(&dir, &[HELLO, ZONE], &then), Settings::new()).await.unwrap();
        let error = list(&provider).await.unwrap_err();
        assert_eq!(error.class, Class::Internal, "{expected}: {error}");
        assert!(error.message.contains(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn an_early_end_is_told_with_exit_code_and_last_words() {
    let dir = Dir::new();
    let provider =
        open(&script(&dir, &[HELLO, ZONE], "read -r _; echo 'no disk left' >&2; exit 3"), Settings::new())
            .await;
    let error = list(&provider.unwrap()).await.unwrap_err();
    assert_eq!(error.class, Class::Internal);
    assert!(
        error.message.contains("ended without an answer (exit code 3); it said: no disk left"),
        "{error}"
    );
}

#[tokio::test]
async fn a_plugin_that_cannot_be_run_is_told_before_anything_starts() {
    let dir = Dir::new();
    let error = open(&dir.path("missing"), Settings::new()).await.unwrap_err();
    assert_eq!(error.class, Class::Rejected);
    assert!(error.message.contains("No such file"), "{error}");

    let program = script(&dir, &[HELLO], "");
    std::process::Command::new("chmod").arg("g+w").arg(&program).status().unwrap();
    let error = open(&program, Settings::new()).await.unwrap_err();
    assert!(error.message.contains("may be changed by others"), "{error}");
    let interpreted =
        ExecProvider::new(vec!["sh".into(), program.into()], Settings::new(), Options::new("exec x")).await;
    assert!(interpreted.unwrap_err().message.contains("may be changed by others"));
    let open_folder = dir.path("open");
    std::fs::create_dir(&open_folder).unwrap();
    let inside = dir.program("open/plugin", "#!/bin/sh\n");
    std::process::Command::new("chmod").arg("o+w").arg(&open_folder).status().unwrap();
    let error = open(&inside, Settings::new()).await.unwrap_err();
    assert!(
        error.message.contains("lies behind") && error.message.contains("may be changed by others"),
        "{error}"
    );
    assert_eq!(runs(&dir), 0);
    let relative = ExecProvider::new(vec!["./plugin".into()], Settings::new(), Options::new("exec x")).await;
    assert!(relative.unwrap_err().message.contains("no absolute path"));
}

#[tokio::test]
async fn greetings_that_make_no_sense_are_refused() {
    for (hello, expected) in [
        (r#"{"id":1,"ok":{"protocol":2,"types":["TXT"]}}"#, "speaks protocol 2"),
        (r#"{"id":1,"ok":{"protocol":1,"types":["A"]}}"#, "neither TXT nor TLSA"),
        (r#"{"id":1,"ok":{"protocol":1,"types":["TXT"],"atomic":"very"}}"#, "`atomic`"),
        (r#"{"id":1,"ok":{"protocol":1,"types":["TXT"],"ttl":{"min":60,"max":1}}}"#, "smallest TTL"),
        (r#"{"id":1,"ok":{}}"#, "missing field"),
    ] {
        let dir = Dir::new();
        let error = open(&script(&dir, &[hello], "sleep 300"), Settings::new()).await.unwrap_err();
        assert_eq!(error.class, Class::Internal);
        assert!(error.message.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn it_is_started_again_after_a_crash_but_not_for_ever() {
    let dir = Dir::new();
    let provider = open(&script(&dir, &[HELLO], "read -r _; exit 1"), Settings::new()).await.unwrap();
    for _ in 0..8 {
        assert_eq!(list(&provider).await.unwrap_err().class, Class::Internal);
    }
    assert_eq!(runs(&dir), 5);
    assert!(list(&provider).await.unwrap_err().message.contains("failed 5 times in a row"));
}

#[tokio::test]
async fn an_apply_without_an_answer_is_settled_by_looking() {
    let dir = Dir::new();
    // The first process dies after it did its work; the second one lists what the first one wrote.
    let program = dir.program(
        "plugin",
        &format!(
            r#"#!/bin/sh
cd {dir} && echo run >>runs
while read -r line; do
    id=${{line#*:}} id=${{id%%,*}}
    case $line in
    *'"op":"hello"'*) printf '{{"id":%s,"ok":{{"protocol":1,"types":["TXT"]}}}}\n' "$id" ;;
    *'"op":"zone"'*) printf '{{"id":%s,"ok":{{"name":"example.test"}}}}\n' "$id" ;;
    *'"op":"list"'*)
        if [ -e written ]; then printf '{{"id":%s,"ok":{{"records":[{{"value":"\\"a\\"","ttl":60}}]}}}}\n' "$id"
        else printf '{{"id":%s,"ok":{{"records":[]}}}}\n' "$id"; fi ;;
    *'"op":"apply"'*) echo "$line" >>applied; : >written; exit 1 ;;
    esac
done
"#,
            dir = dir.0.display()
        ),
    );
    let provider = open(&program, Settings::new()).await.unwrap();
    let applied = provider.apply(&zone(), &[change("a.example.test.", &[txt("a")], &[])]).await.unwrap();
    assert_eq!((applied.writes, runs(&dir), dir.read("applied").lines().count()), (1, 2, 1));
}

#[tokio::test]
async fn changes_that_never_show_are_no_success() {
    let dir = Dir::new();
    let program = dir.program(
        "plugin",
        r#"#!/bin/sh
while read -r line; do
    id=${line#*:} id=${id%%,*}
    case $line in
    *'"op":"hello"'*) printf '{"id":%s,"ok":{"protocol":1,"types":["TXT"]}}\n' "$id" ;;
    *'"op":"zone"'*) printf '{"id":%s,"ok":{"name":"example.test"}}\n' "$id" ;;
    *'"op":"list"'*) printf '{"id":%s,"ok":{"records":[]}}\n' "$id" ;;
    *) printf '{"id":%s,"ok":{"applied":1}}\n' "$id" ;;
    esac
done
"#,
    );
    let provider =
        open_with(&program, Settings::new(), |options| options.total = Duration::from_secs(3)).await.unwrap();
    let error = provider.apply(&zone(), &[change("a.example.test.", &[txt("a")], &[])]).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict, "{error}");
    assert!(error.message.contains("they do not show: TXT at a.example.test"), "{error}");
}

#[tokio::test]
async fn a_caller_that_went_away_does_not_leave_its_answer_to_the_next() {
    let dir = Dir::new();
    let slow = format!(r#"read -r _; sleep 1; printf '%s\n' '{EMPTY}'; sleep 300"#);
    let provider = open(&script(&dir, &[HELLO, ZONE], &slow), Settings::new()).await.unwrap();
    let dropped = tokio::time::timeout(Duration::from_millis(300), list(&provider)).await;
    assert!(dropped.is_err());
    let error = list(&provider).await.unwrap_err();
    // A new process, whose second answer fits `zone`, not the `list` it gets.
    assert_eq!((error.class, runs(&dir)), (Class::Internal, 2), "{error}");
}

#[tokio::test]
async fn what_the_host_asks_for_is_waited_for() {
    let dir = Dir::new();
    let limited = r#"{"id":3,"error":{"class":"rate-limited","message":"slowly","retry_after_ms":400}}"#;
    let listed = r#"{"id":4,"ok":{"records":[{"value":"\"a\"","ttl":60}]}}"#;
    let provider =
        open(&script(&dir, &[HELLO, ZONE, limited, listed], "cat"), Settings::new()).await.unwrap();
    let started = Instant::now();
    assert_eq!(list(&provider).await.unwrap(), 1);
    assert!(started.elapsed() >= Duration::from_millis(400));

    let dir = Dir::new();
    let never = r#"{"id":3,"error":{"class":"rate-limited","message":"slowly","retry_after_ms":3600000}}"#;
    let provider = open(&script(&dir, &[HELLO, ZONE, never], "cat"), Settings::new()).await.unwrap();
    let error = list(&provider).await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (Class::RateLimited, Some(Duration::from_secs(3600))));
}

#[tokio::test]
async fn a_secret_reaches_standard_input_and_nothing_else() {
    let dir = Dir::new();
    let program = dir.program(
        "plugin",
        &format!(
            r#"#!/bin/sh
cd {dir}
read -r hello; printf '%s' "$hello" >stdin
env >environment; tr '\0' ' ' </proc/$$/cmdline >argv
printf '%s\n' '{HELLO}'
read -r zone
echo "the token is {CANARY}" >&2
echo "basic $(printf '%s' '{CANARY}' | base64)" >&2
echo 'url: ?t=c4n4ry%2FHunter2%2Bc4n4ry' >&2
head -c 20000 /dev/zero | tr '\0' 'x' >&2; echo '{CANARY}' >&2
printf '%s\n' '{{"id":2,"error":{{"class":"auth","message":"token {CANARY} refused","hint":"not {CANARY}"}}}}'
cat >/dev/null
"#,
            dir = dir.0.display()
        ),
    );
    let log = Log::default();
    let guard = log.catch();
    let provider = open(&program, secrets()).await.unwrap();
    let error = list(&provider).await.unwrap_err();
    provider.close().await;
    drop(guard);

    assert!(dir.read("stdin").contains(CANARY));
    assert!(!dir.read("environment").contains("Hunter2") && !dir.read("argv").contains("Hunter2"));
    let variables: Vec<String> =
        dir.read("environment").lines().filter_map(|l| l.split('=').next()).map(str::to_owned).collect();
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    assert!(variables.contains(&"PATH".to_owned()), "{variables:?}");
    let ours: Vec<_> =
        variables.iter().filter(|v| !["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&v.as_str())).collect();
    assert!(ours.is_empty(), "{ours:?}");

    assert_eq!(error.message, "exec test-plugin: token [secret] refused");
    assert_eq!(error.hint.as_deref(), Some("not [secret]"));
    let text = log.text();
    assert!(text.contains("exec test-plugin: the token is [secret]"), "{text}");
    assert!(!text.contains("Hunter2") && !text.contains("YzRuNHJ5"), "{text}");
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 800, "{longest}");
}

#[tokio::test]
async fn a_crash_does_not_repeat_the_secret() {
    let dir = Dir::new();
    let program =
        script(&dir, &[HELLO], &format!("read -r _; echo 'bad token {CANARY}' >&2; echo '{CANARY}'; exit 1"));
    let provider = open(&program, secrets()).await.unwrap();
    let error = list(&provider).await.unwrap_err();
    assert!(error.message.contains("bad token [secret]"), "{error}");
    assert!(!format!("{error:?} {provider:?}").contains("Hunter2"), "{error:?}");
}

#[tokio::test]
async fn the_end_of_input_ends_a_plugin() {
    let dir = Dir::new();
    let then = format!("cat >/dev/null; echo logout >{0}/bye", dir.0.display());
    let provider = open(&script(&dir, &[HELLO], &then), Settings::new()).await.unwrap();
    provider.close().await;
    assert_eq!(dir.read("bye"), "logout\n");

    let dir = Dir::new();
    let stubborn = format!("sleep 300 & echo $! >{0}/child; echo $$ >{0}/leader; wait", dir.0.display());
    let provider = open(&script(&dir, &[HELLO], &stubborn), Settings::new()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    provider.close().await;
    assert!(gone(&dir, "leader").await && gone(&dir, "child").await);
}

#[tokio::test]
async fn dropping_a_provider_ends_its_plugin() {
    let dir = Dir::new();
    let then = format!("echo $$ >{0}/leader; cat >/dev/null; echo logout >{0}/bye", dir.0.display());
    let provider = open(&script(&dir, &[HELLO], &then), Settings::new()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(provider);
    assert!(gone(&dir, "leader").await);
    assert_eq!(dir.read("bye"), "logout\n");
}

#[tokio::test]
async fn a_plugin_that_loses_foreign_pins_is_reported() {
    let dir = Dir::new();
    let pin = |octet: &str| format!(r#"{{"value":"3 1 1 {}","ttl":60}}"#, octet.repeat(32));
    let before = format!(r#"{{"id":3,"ok":{{"records":[{}]}}}}"#, pin("aa"));
    let after = format!(r#"{{"id":5,"ok":{{"records":[{}]}}}}"#, pin("07"));
    let lines = [HELLO, ZONE, &before, r#"{"id":4,"ok":{"applied":1}}"#, &after];
    let provider = open(&script(&dir, &lines, "cat"), Settings::new()).await.unwrap();
    let add = change("_25._tcp.mx.example.test.", &[crate::support::tlsa(7)], &[]);
    let error = provider.apply(&zone(), &[add]).await.unwrap_err();
    assert_eq!(error.class, Class::Conflict);
    assert!(error.message.contains("values disappeared") && error.message.contains("3 1 1 aaaa"), "{error}");
}
