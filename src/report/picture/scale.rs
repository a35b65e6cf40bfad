//! Where a time lies on the paper, and which times the axis names.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Ticks stand at least so far apart, in units of the drawing.
const APART: f64 = 46.0;
/// No axis has more ticks; a guard against periods that nobody means.
const MOST: usize = 400;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A linear scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: i64,
    seconds: i64,
    left: f64,
    width: f64,
}

/// A tick of the axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) x: f64,
    /// `06:00`, `14`, `Mar`, `2027`.
    pub(super) label: String,
    /// The day, month or year to which the labels from here on belong; only where it changes.
    pub(super) context: Option<String>,
}

/// Steps of the axis.
#[derive(Clone, Copy)]
enum Step {
    Seconds(i64),
    Days(i8),
    Months(i16),
    Years(i16),
}

impl Scale {
    /// From `left` on, `width` wide. A period that ends before it begins lasts a second.
    pub(super) fn new(from: Timestamp, until: Timestamp, left: f64, width: f64) -> Scale {
        let from = from.as_second();
        Scale { from, seconds: (until.as_second() - from).max(1), left, width }
    }

    /// Where a time lies; times outside lie on the edge.
    pub(super) fn x(&self, at: Timestamp) -> f64 {
        self.at_second(at.as_second()).clamp(self.left, self.right())
    }

    /// The right edge.
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Whether the time lies within the period.
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        (self.from..=self.from + self.seconds).contains(&at.as_second())
    }

    fn at_second(&self, second: i64) -> f64 {
        self.left + (second - self.from) as f64 / self.seconds as f64 * self.width
    }

    /// The ticks, from left to right.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let step = self.step();
        let mut ticks = Vec::new();
        let mut context = None;
        for (second, label, here) in self.times(step) {
            let changed = context.as_ref() != Some(&here);
            ticks.push(Tick {
                x: self.at_second(second),
                label,
                context: (changed && !here.is_empty()).then(|| here.clone()),
            });
            context = Some(here);
        }
        ticks
    }

    fn step(&self) -> Step {
        const SECONDS: [i64; 9] = [60, 300, 900, 1800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR];
        let fits = |seconds: i64| seconds as f64 / self.seconds as f64 * self.width >= APART;
        let seconds = SECONDS.into_iter().find(|s| fits(*s)).map(Step::Seconds);
        let days = || [1_i8, 2, 7, 14].into_iter().find(|d| fits(i64::from(*d) * DAY)).map(Step::Days);
        let months =
            || [1_i16, 2, 3, 6].into_iter().find(|m| fits(i64::from(*m) * 28 * DAY)).map(Step::Months);
        let years = || [1_i16, 2, 5, 10, 50, 100].into_iter().find(|y| fits(i64::from(*y) * 365 * DAY));
        seconds.or_else(days).or_else(months).unwrap_or_else(|| Step::Years(years().unwrap_or(1000)))
    }

    /// Second, label and context of each tick.
    fn times(&self, step: Step) -> Vec<(i64, String, String)> {
        let first = date(self.from);
        let last = self.from + self.seconds;
        let mut times: Vec<(i64, String, String)> = Vec::new();
        let mut add = |second: i64, label: String, context: String| {
            if second >= self.from && second <= last && times.len() < MOST {
                times.push((second, label, context));
            }
            second <= last && times.len() < MOST
        };
        match step {
            Step::Seconds(seconds) => {
                let mut second = self.from.div_euclid(seconds) * seconds;
                while add(second, format(second, "%H:%M"), format(second, "%e %b %Y").trim().to_owned()) {
                    second += seconds;
                }
            }
            Step::Days(days) => {
                let mut month = first.first_of_month();
                while days_of(month, days).all(|day| {
                    let second = start(day);
                    add(second, day.day().to_string(), format(second, "%b %Y"))
                }) {
                    month = month_after(month, 1);
                }
            }
            Step::Months(months) => {
                let into = (i16::from(first.month()) - 1) / months * months + 1;
                let mut month = Date::new(first.year(), into as i8, 1).unwrap_or(first.first_of_month());
                while add(start(month), format(start(month), "%b"), month.year().to_string()) {
                    month = month_after(month, months);
                }
            }
            Step::Years(years) => {
                let mut year = first.year().div_euclid(years) * years;
                while Date::new(year, 1, 1).is_ok_and(|d| add(start(d), year.to_string(), String::new())) {
                    year = year.saturating_add(years);
                }
            }
        }
        times
    }
}

/// The 1st, and every `step`th day after it that keeps its distance from the next 1st.
fn days_of(month: Date, step: i8) -> impl Iterator<Item = Date> {
    let length = month.days_in_month();
    let far = move |day: &i8| *day == 1 || length - day >= step / 2;
    (1..=length)
        .step_by(step.unsigned_abs().into())
        .filter(far)
        .filter_map(move |day| Date::new(month.year(), month.month(), day).ok())
}

fn month_after(month: Date, by: i16) -> Date {
    let count = i32::from(month.year()) * 12 + i32::from(month.month()) - 1 + i32::from(by);
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    i16::try_from(year).ok().and_then(|year| Date::new(year, month as i8, 1).ok()).unwrap_or(Date::MAX)
}

fn date(second: i64) -> Date {
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).date()
}

fn start(day: Date) -> i64 {
    day.to_zoned(TimeZone::UTC).map_or(i64::MAX, |zoned| zoned.timestamp().as_second())
}

fn format(second: i64, how: &str) -> String {
    Timestamp::from_second(second).map_or_else(|_| String::new(), |at| at.strftime(how).to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn labels(from: &str, until: &str) -> (Vec<String>, Vec<String>) {
        let scale = Scale::new(from.parse().unwrap(), until.parse().unwrap(), 0.0, 1000.0);
        let ticks = scale.ticks();
        assert!(ticks.windows(2).all(|w| w[1].x - w[0].x >= APART - 5.0), "{ticks:?}");
        let contexts = ticks.iter().filter_map(|t| t.context.clone()).collect();
        (ticks.into_iter().map(|t| t.label).collect(), contexts)
    }

    #[test]
    fn an_axis_of_hours_names_the_day_where_it_changes() {
        let (labels, contexts) = labels("2026-11-23T20:30:00Z", "2026-11-24T08:30:00Z");
        assert_eq!(labels[..5], ["21:00", "22:00", "23:00", "00:00", "01:00"]);
        assert_eq!(contexts, ["23 Nov 2026", "24 Nov 2026"]);
    }

    #[test]
    fn weeks_begin_anew_with_each_month() {
        let (labels, contexts) = labels("2027-01-20T00:00:00Z", "2027-04-02T00:00:00Z");
        assert_eq!(labels, ["22", "1", "8", "15", "22", "1", "8", "15", "22", "1"]);
        assert_eq!(contexts, ["Jan 2027", "Feb 2027", "Mar 2027", "Apr 2027"]);
    }

    #[test]
    fn two_years_are_told_in_months_and_forty_in_years() {
        let (two, contexts) = labels("2026-11-23T00:00:00Z", "2028-11-23T00:00:00Z");
        assert_eq!(two, ["Jan", "Mar", "May", "Jul", "Sep", "Nov", "Jan", "Mar", "May", "Jul", "Sep", "Nov"]);
        assert_eq!(contexts, ["2027", "2028"]);
        let (forty, contexts) = labels("2020-01-01T00:00:00Z", "2060-01-01T00:00:00Z");
        assert_eq!((forty.len(), forty[1].as_str(), contexts.len()), (21, "2022", 0));
    }

    #[test]
    fn no_period_is_too_odd() {
        for (from, until) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("-009999-01-03T00:00:00Z", "9999-12-01T00:00:00Z"),
        ] {
            let scale = Scale::new(from.parse().unwrap(), until.parse().unwrap(), 10.0, 100.0);
            assert!(scale.ticks().len() <= MOST);
            assert_eq!(scale.x(Timestamp::MAX), 110.0);
        }
    }
}
