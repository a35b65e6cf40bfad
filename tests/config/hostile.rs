//! What nobody writes on purpose: secrets in the file, bombs, mangled text.

use super::{CANARY, SMALL, bad, shown, small_with, with_files};
use danesmith::config::{self, TEMPLATE};
use nix::sys::resource::{UsageWho, getrusage};
use std::time::Duration;

#[test]
fn a_file_that_is_too_large_is_refused() {
    bad(&"#".repeat(1024 * 1024 + 1), " is larger than 1 MiB");
}

#[test]
fn a_secret_in_the_file_is_refused() {
    small_with(
        "{file: tsig.secret}",
        "aGVsbG8=",
        "8:55: providers.home.rfc2136.tsig.secret: a secret must not stand in zones.yaml\n  hint: write where it is: {file: PATH}, {env: NAME}, {command: [PROGRAM, ARGUMENT]} or {credential: NAME}",
    );
    small_with(
        "{file: tsig.secret}",
        "{value: aGVsbG8=}",
        "8:55: providers.home.rfc2136.tsig.secret: is not a place of a secret that danesmith knows\n  hint: write where it is: {file: PATH}, {env: NAME}, {command: [PROGRAM, ARGUMENT]} or {credential: NAME}",
    );
    small_with(
        "{file: tsig.secret}",
        "{env: not a name}",
        "8:61: providers.home.rfc2136.tsig.secret.env: is not the name of an environment variable\n  hint: write the variable's name, without `$`; its value belongs into the environment",
    );
    small_with(
        "{file: tsig.secret}",
        "{credential: ../x}",
        "8:68: providers.home.rfc2136.tsig.secret.credential: is not the name of a credential: it cannot hold a `/`\n  hint: write the name that LoadCredential= gives it",
    );
    small_with(
        "{file: tsig.secret}",
        "{command: pass show x}",
        "8:65: providers.home.rfc2136.tsig.secret.command: must be a list, not text\n  hint: write it in [brackets]",
    );
}

#[test]
fn no_error_text_ever_holds_what_stands_where_a_secret_belongs() {
    let shapes = [
        "C",
        "'C'",
        "\"C\"",
        "\"C",
        "'C",
        "[C",
        "{C",
        "{C}",
        "{C: x}",
        "{value: C}",
        "{file: [C]}",
        "{file: {C: x}}",
        "{file: a, C: b}",
        "{file: a, file: C}",
        "{env: 'C C'}",
        "{env: 4C}",
        "{credential: a/C}",
        "{command: C}",
        "{command: [{C: x}]}",
        "{command: []} C",
        "*C",
        "&C",
        "&C x",
        "!C x",
        "!!C x",
        "!<C> x",
        "!C!C x",
        "|C",
        ">C",
        "@C",
        "%C",
        "C: C: x",
        "- C",
        "\"\\C\"",
        "{file: a} C",
        "C\n C: x",
        "!!int C",
        "!!binary C",
        "[C, C]: x",
        "? C",
        "{? C}",
        "7C",
        "0xC",
        "!!float C",
        "{<<: C}",
        "{env: &C x, file: *C}",
        "\tC",
        "C #\n\tC",
    ];
    for shape in shapes {
        let text = SMALL.replace("{file: tsig.secret}", &shape.replace('C', CANARY));
        // `{file: X}` and other references are places, not secrets: only mistakes are of interest.
        if let Err(problems) = with_files(&text).load() {
            let story = format!("{}\n{problems:?}", shown(&problems));
            assert!(!story.contains("c4n4ry"), "{shape}: {story}");
            assert!(!config::problems_to_error(problems).to_string().contains("c4n4ry"), "{shape}");
        } else {
            panic!("{shape} was accepted");
        }
    }
    for (old, new) in
        [("version: 1", "version: 1\nstate: s3://u:C@h"), ("letsencrypt-staging", "'https://u:C@h/'")]
    {
        let text = SMALL.replace(old, &new.replace('C', CANARY));
        assert!(!shown(&with_files(&text).load().unwrap_err()).contains(CANARY), "{new}");
    }
}

/// An unoptimized parser on a busy machine gets fewer.
const MANY: usize = if cfg!(debug_assertions) { 6_000 } else { 60_000 };

/// What this thread has used so far: other tests may run beside.
fn cpu_time() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    let span = used.user_time() + used.system_time();
    Duration::new(span.tv_sec().try_into().unwrap(), 0)
        + Duration::from_micros(span.tv_usec().try_into().unwrap())
}

#[track_caller]
fn is_refused_soon(text: &str) {
    let folder = with_files(text);
    let started = cpu_time();
    let problems = folder.load().expect_err("accepted");
    let took = cpu_time() - started;
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 }); // much more than a quiet machine takes
    assert!(took < limit, "{took:?}: {}", problems[0]);
    assert!(problems.len() <= 100);
    assert!(problems.iter().all(|problem| problem.to_string().len() < 2000), "{}", shown(&problems));
}

#[test]
fn bombs_are_refused_in_bounded_time() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..9 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","));
    }
    is_refused_soon(&(bomb + "zones: *a8\n"));
    is_refused_soon(&format!("zones: {}{}", "[".repeat(20_000), "]".repeat(20_000)));
    is_refused_soon(&format!("zones: {}", "[".repeat(500_000)));
    is_refused_soon(&format!("zones: {}", "{a: ".repeat(200_000)));
    is_refused_soon(&format!("zones: &a {}\nx: [{}]\n", "a".repeat(500_000), "*a,".repeat(90)));
    is_refused_soon(&format!("x: [{}]\n", "a,".repeat(500_000)));
    is_refused_soon(&"- ".repeat(500_000));
    is_refused_soon(&"a: ".repeat(300_000));
    is_refused_soon(&(0..MANY).map(|i| format!("k{i}: {i}\n")).collect::<String>());
    is_refused_soon(&format!(
        "version: 1\nzones:\n{}",
        (0..MANY).map(|i| format!("  z{i}.example: {{}}\n")).collect::<String>()
    ));
    let accounts: String = (0..9_000).map(|i| format!("  a{i}: {{directory: letsencrypt}}\n")).collect();
    let certificates: String =
        (0..9_000).map(|i| format!("  c{i}: {{account: b{i}, names: [a.b], keys: managed}}\n")).collect();
    is_refused_soon(&format!("version: 1\naccounts:\n{accounts}certificates:\n{certificates}"));
}

/// Every line of the example deleted, doubled, cut, indented, and with odd bytes: an answer, soon, and no panic.
#[test]
fn a_mangled_example_is_answered_in_bounded_time() {
    let folder = with_files("");
    let lines: Vec<&str> = TEMPLATE.lines().collect();
    let manglers: [fn(&str) -> String; 10] = [
        |_| String::new(),
        |line| format!("{line}\n{line}"),
        |line| line.chars().take(line.chars().count() / 2).collect(),
        |line| format!("  {line}"),
        |line| line.trim_start().to_owned(),
        |line| line.replace(':', ""),
        |line| line.replace(['[', '{'], ""),
        |line| line.replace(['"', '}', ']'], "\""),
        |line| format!("{line}\u{0}\u{fffd}\u{202e}"),
        |line| line.replace(|c: char| c.is_ascii_digit(), "999999999999999999999"),
    ];
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
        for (m, mangle) in manglers.iter().enumerate() {
            let mangled = mangle(line);
            let text = [&lines[..i], &[mangled.as_str()], &lines[i + 1..]].concat().join("\n");
            folder.write("zones.yaml", &text);
            let started = cpu_time();
            let answer = folder.load();
            assert!(cpu_time() - started < Duration::from_secs(1), "line {} mangler {m}", i + 1);
            assert!(
                answer.is_ok() || answer.is_err_and(|problems| !problems.is_empty()),
                "an error without a problem"
            );
        }
    }
}
