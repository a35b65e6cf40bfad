//! `danesmith rehearse`: two years of a zones.yaml in seconds, in a simulated world. No network, no secret, no state.

use super::ui::Ui;
use super::{Finish, Global, wiring};
use crate::atomic;
use crate::error::{Error, Kind, Result};
use crate::model::desired::Desired;
use crate::model::rehearsal::Rehearsal;
use crate::rehearse::{self, Options, Standing, State};
use crate::report;
use crate::store::Store;
use crate::store::directory::Directory;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest rehearsal. Our choice: nobody's plans, and no CA's announcements, reach further.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 3660);
/// First days that certificates and the simulated CA's books can be dated from.
const YEARS: std::ops::RangeInclusive<i16> = 1971..=2999;
/// How long each of many rehearsals is when nobody says.
const EACH_OF_MANY: &str = "90d";

/// Arguments of `rehearse`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How long, or until when: 90d, 26w, 2y, 2028-11-23 [default: 2y; 90d with --runs]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The first day, or moment (2026-11-23T07:00:00Z), UTC [default: today; now with --from-state]
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Let things go wrong, as this seed says: servers, answers, crashes, the CA, clocks, an administrator, a full disk
    #[arg(long, value_name = "SEED")]
    faults: Option<u64>,
    /// Rehearse so many seeds, as many at once as there are CPUs, and tell the first that refuses a delivery
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    runs: Option<u64>,
    /// Ask for a rotation of this certificate half an hour after the beginning, as `rotate CERT --wait` does
    #[arg(long, value_name = "CERT")]
    rotate: Option<String>,
    /// Begin with the state directory as it is: keys, pins and certificates of today. No private key is read
    #[arg(long)]
    from_state: bool,
    /// Write a page with the picture of all keys over time
    #[arg(long, value_name = "FILE", conflicts_with = "runs")]
    html: Option<PathBuf>,
    /// Time between two runs of apply: 1h to 24h
    #[arg(long, value_name = "HOURS", default_value = "1h")]
    every: String,
}

pub(super) fn run(global: &Global, args: &Args, ui: &Ui) -> Result<Finish> {
    let finished = rehearsed(global, args)?;
    if let Some(e) = &finished.error {
        ui.error(e);
    }
    Ok(finished)
}

fn rehearsed(global: &Global, args: &Args) -> Result<Finish> {
    let options = options(args)?;
    let (desired, source) = wiring::rehearsed(global)?;
    if let Some(name) = &options.rotate {
        wiring::choose(&desired, std::slice::from_ref(name))?;
    }
    let state = if args.from_state { Some(standing(&desired)?) } else { None };
    if let Some(runs) = args.runs {
        let all = many((&desired, state.as_ref()), &options, args.faults.unwrap_or(1), runs)?;
        return Ok(match all.iter().find(|rehearsal| rehearsal.refusal.is_some()) {
            Some(refused) => finish(refused, &source, args),
            None => Finish::ok(report::rehearse::all_rehearsed(&all, &source)),
        });
    }
    let mut rehearsal = rehearse::rehearse(&desired, &options, &read, state.as_ref())?;
    rehearsal.notes.extend(state.map(|state| begins_with(&desired.state, &state)));
    if let Some(path) = &args.html {
        let page = report::picture::html(&rehearse::timeline(&rehearsal, &source));
        atomic::write_out(path, page.as_bytes(), super::status::PAGE)?;
    }
    Ok(finish(&rehearsal, &source, args))
}

/// A file that zones.yaml names, where it is there and no larger than such files are.
fn read(path: &Path) -> Option<Vec<u8>> {
    let is_file =
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= wiring::MAX_FILE);
    is_file.then(|| std::fs::read(path).ok()).flatten()
}

/// The documents of all certificates as they are now.
fn standing(desired: &Desired) -> Result<State> {
    let store = Directory::read_only(&desired.state);
    let mut state = State::new();
    for name in desired.certificates.keys() {
        let (document, live) =
            super::block_on(async { Ok((store.document(name).await?, store.live(name).await?)) })?;
        state.insert(name.clone(), Standing { document, live });
    }
    Ok(state)
}

/// For people: what `--from-state` found. A wrong folder must not look like a good beginning.
fn begins_with(folder: &Path, state: &State) -> String {
    let names = |known: bool| -> Vec<&str> {
        let has = |standing: &Standing| standing.document.installed.is_some();
        state.iter().filter(|(_, standing)| has(standing) == known).map(|(name, _)| name.as_str()).collect()
    };
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let (known, new) = (list(names(true)), list(names(false)));
    format!("it begins with `{}`; certificates there: {known}; without one there: {new}", folder.display())
}

fn options(args: &Args) -> Result<Options> {
    let today = || Timestamp::now().to_zoned(TimeZone::UTC).date();
    let wrong = |what: &str, text: &str, why: String| {
        Error::new(Kind::Usage, format!("use {what} {text}"), why)
            .hint("danesmith help rehearse has the options")
    };
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    let from = match &args.from {
        Some(text) => {
            let first = moment(text).or_else(|| midnight(date(text)?).ok());
            let why = "it is no date like 2026-11-23, and no moment like 2026-11-23T07:00:00Z, of the years 1971 to 2999";
            let fits = |first: &Timestamp| YEARS.contains(&first.to_zoned(TimeZone::UTC).year());
            first.filter(fits).ok_or_else(|| wrong("--from", text, why.into()))?
        }
        // The documents are not older than now.
        None if args.from_state => Timestamp::from_second(Timestamp::now().as_second())
            .map_err(|e| wrong("--from", "now", e.to_string()))?,
        None => midnight(today()).map_err(|e| wrong("--from", "today", e.to_string()))?,
    };
    let text = args.until.as_deref().unwrap_or(if args.runs.is_some() { EACH_OF_MANY } else { "2y" });
    let until = match date(text) {
        Some(date) => midnight(date).ok(),
        None => period(text).and_then(|length| from.checked_add(length).ok()),
    };
    let until =
        until.ok_or_else(|| wrong("--until", text, "it is neither 90d, 26w or 2y nor a date".into()))?;
    if until <= from || until.duration_since(from) > LONGEST {
        return Err(wrong("--until", text, "it must be after --from, and at most ten years later".into()));
    }
    let hours = args.every.strip_suffix('h').and_then(|hours| hours.parse::<i64>().ok());
    let every = hours.filter(|hours| (1..=24).contains(hours)).map(|hours| hours * 3600);
    let every = every.ok_or_else(|| wrong("--every", &args.every, "it is not 1h to 24h".into()))?;
    Ok(Options { from, until, seed: args.faults, every, rotate: args.rotate.clone(), keep_trace: false })
}

/// `2026-11-23` and nothing behind it: a time of day or a zone would be ignored.
fn date(text: &str) -> Option<Date> {
    text.parse().ok().filter(|date: &Date| date.to_string() == text)
}

/// `2026-11-23T07:00:00Z`: whole seconds, UTC.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse()
        .ok()
        .filter(|moment: &Timestamp| moment.to_string() == text && moment.subsec_nanosecond() == 0)
}

/// `90d`, `26w`, `2y`.
fn period(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let days = match unit {
        'd' => 1,
        'w' => 7,
        'y' => 365,
        _ => return None,
    };
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| (1..=10_000).contains(number))?;
    Some(SignedDuration::from_hours(24 * days * number))
}

/// The command line that tells the same story.
fn again(args: &Args, rehearsal: &Rehearsal) -> String {
    let until = args.until.as_deref().unwrap_or(if args.runs.is_some() { EACH_OF_MANY } else { "2y" });
    let mut words = format!("rehearse --from {} --until {until} --every {}", rehearsal.from, args.every);
    if let Some(seed) = rehearsal.seed {
        words.push_str(&format!(" --faults {seed}"));
    }
    if let Some(certificate) = &args.rotate {
        words.push_str(&format!(" --rotate {certificate}"));
    }
    words.push_str(if args.from_state { " --from-state" } else { "" });
    words
}

fn finish(rehearsal: &Rehearsal, source: &str, args: &Args) -> Finish {
    let output = report::rehearse::rehearsed(rehearsal, source);
    let error = rehearsal.refusal.as_ref().map(|refusal| {
        Error::new(Kind::Refused, format!("deliver mail to {} in the rehearsal", refusal.certificate), &refusal.words)
            .remains("Nothing real was touched.")
            .hint(format!("the same again: danesmith {}", again(args, rehearsal)))
            .hint(match args.from_state {
                true => "look at what is there first: `danesmith status` and `danesmith verify`; if they find nothing wrong, this is a defect of danesmith: please report it",
                false => "this is a defect of danesmith, or a setting that takes the waiting away: please report it with that command and zones.yaml",
            })
    });
    let code = error.as_ref().map_or(0, |e| e.kind.exit_code());
    Finish { output, code, error, warnings: Vec::new() }
}

/// Seeds side by side; the refusal of the smallest seed is the one that is told, whoever came first.
fn many(
    (desired, state): (&Desired, Option<&State>),
    options: &Options,
    first: u64,
    runs: u64,
) -> Result<Vec<Rehearsal>> {
    if first.checked_add(runs - 1).is_none() {
        let why = format!("the last of {runs} seeds would be greater than {}", u64::MAX);
        return Err(Error::new(Kind::Usage, format!("use --faults {first} with --runs {runs}"), why));
    }
    let next = AtomicU64::new(0);
    let refused = AtomicU64::new(u64::MAX);
    let work = || {
        let mut done = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            let seed = first.saturating_add(run);
            if run >= runs || seed > refused.load(Ordering::Relaxed) {
                return Ok(done);
            }
            let options = Options { seed: Some(seed), ..options.clone() };
            let mut rehearsal = rehearse::rehearse(desired, &options, &read, state)?;
            if rehearsal.refusal.is_some() {
                refused.fetch_min(seed, Ordering::Relaxed);
            } else {
                rehearsal.events.clear();
            }
            done.push(rehearsal);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<Result<Vec<Rehearsal>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let broken = |_| Err(Error::new(Kind::Internal, "rehearse", "a thread of the rehearsal panicked"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(broken)).collect()
    });
    let mut all: Vec<Rehearsal> =
        results.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    all.sort_by_key(|rehearsal| rehearsal.seed);
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(from: Option<&str>, until: &str) -> bool {
        let args = Args {
            until: Some(until.into()),
            from: from.map(Into::into),
            faults: None,
            runs: None,
            rotate: None,
            from_state: false,
            html: None,
            every: "1h".into(),
        };
        options(&args).is_err_and(|e| e.kind == Kind::Usage)
    }

    #[test]
    fn a_day_is_a_date_alone_or_a_moment_in_utc_and_one_that_certificates_can_bear() {
        assert!(!refused(Some("2026-11-23"), "2027-01-01"));
        assert!(!refused(Some("1971-01-01"), "10y"));
        assert!(!refused(Some("2999-12-31"), "10y"));
        assert!(!refused(Some("2026-11-23T10:00:00Z"), "2026-11-24"));
        for from in [
            "1970-12-31",
            "3000-01-01",
            "9999-12-01",
            "-9999-01-01",
            "20261123",
            "2026-11-23T10:00+02:00",
            "2026-11-23T10:00",
        ] {
            assert!(refused(Some(from), "5d"), "{from}");
        }
        for until in ["0d", "100y", "2026-11-23", "2027-01-01T12:00", "90", "5m"] {
            assert!(refused(Some("2026-11-23"), until), "{until}");
        }
    }

    #[test]
    fn seeds_end_at_the_greatest_number() {
        let finish = |first, runs| {
            let desired = crate::config::template().unwrap();
            let from = "2026-11-23T00:00:00Z".parse().unwrap();
            let until = "2026-11-23T01:00:00Z".parse().unwrap();
            let options = Options { from, until, seed: None, every: 3600, rotate: None, keep_trace: false };
            many((&desired, None), &options, first, runs)
        };
        assert!(finish(u64::MAX, 2).is_err_and(|e| e.kind == Kind::Usage));
        let last = finish(u64::MAX, 1).unwrap();
        assert_eq!(last.iter().map(|r| r.seed).collect::<Vec<_>>(), [Some(u64::MAX)]);
    }
}
