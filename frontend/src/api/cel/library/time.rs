//! Parts of timestamps, in UTC or in a zone, and of durations.

use jiff::{civil, tz};

use super::{
    super::{
        gofmt,
        value::{EvalError, Evaluated, Val, fail, no_such_overload},
    },
    row::{Row, row},
};

pub(super) const ROWS: &[Row] = &[
    row("timestamp_to_year", "timestamp::getFullYear() int", year),
    row("timestamp_to_year_with_tz", "timestamp::getFullYear(string) int", year),
    row("timestamp_to_month", "timestamp::getMonth() int", month),
    row("timestamp_to_month_with_tz", "timestamp::getMonth(string) int", month),
    row("timestamp_to_day_of_year", "timestamp::getDayOfYear() int", day_of_year),
    row("timestamp_to_day_of_year_with_tz", "timestamp::getDayOfYear(string) int", day_of_year),
    row("timestamp_to_day_of_month", "timestamp::getDayOfMonth() int", day_of_month),
    row("timestamp_to_day_of_month_with_tz", "timestamp::getDayOfMonth(string) int", day_of_month),
    row("timestamp_to_day_of_month_1_based", "timestamp::getDate() int", date),
    row("timestamp_to_day_of_month_1_based_with_tz", "timestamp::getDate(string) int", date),
    row("timestamp_to_day_of_week", "timestamp::getDayOfWeek() int", day_of_week),
    row("timestamp_to_day_of_week_with_tz", "timestamp::getDayOfWeek(string) int", day_of_week),
    row("timestamp_to_hours", "timestamp::getHours() int", hours),
    row("timestamp_to_hours_with_tz", "timestamp::getHours(string) int", hours),
    row("duration_to_hours", "duration::getHours() int", hours),
    row("timestamp_to_minutes", "timestamp::getMinutes() int", minutes),
    row("timestamp_to_minutes_with_tz", "timestamp::getMinutes(string) int", minutes),
    row("duration_to_minutes", "duration::getMinutes() int", minutes),
    row("timestamp_to_seconds", "timestamp::getSeconds() int", seconds),
    row("timestamp_to_seconds_tz", "timestamp::getSeconds(string) int", seconds),
    row("duration_to_seconds", "duration::getSeconds() int", seconds),
    row("timestamp_to_milliseconds", "timestamp::getMilliseconds() int", milliseconds),
    row("timestamp_to_milliseconds_with_tz", "timestamp::getMilliseconds(string) int", milliseconds),
    row("duration_to_milliseconds", "duration::getMilliseconds() int", milliseconds),
];

/// The clock on a wall.
struct Local {
    date: civil::Date,
    /// Beyond the last year that a date can have.
    years_beyond: i64,
    second_of_day: i64,
    nanos: i64,
}

const DAY_SECONDS: i64 = 86_400;

/// The clock on the wall of the zone that is named, or of UTC.
fn local(args: &[Val<'_>]) -> Result<Local, EvalError> {
    let at = match args.first() {
        Some(Val::Timestamp(at)) => *at,
        _ => return no_such_overload(),
    };
    let zone = match args.get(1) {
        None => tz::TimeZone::UTC,
        Some(Val::Str(name)) => zone(name)?,
        Some(_) => return no_such_overload(),
    };
    // The last instants of the year 9999 are beyond what the library of zones knows.
    let known = at.seconds.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let instant = jiff::Timestamp::from_second(known).unwrap_or_default();
    let seconds = at.seconds + i64::from(zone.to_offset(instant).seconds());
    let day = civil::Date::constant(1970, 1, 1);
    let days = seconds.div_euclid(DAY_SECONDS);
    let date = |days: i64| day.checked_add(jiff::Span::new().days(days));
    let (date, years_beyond) = match date(days) {
        Ok(date) => (date, 0),
        Err(_) => (date(days - 365).unwrap_or(day), 1),
    };
    Ok(Local { date, years_beyond, second_of_day: seconds.rem_euclid(DAY_SECONDS), nanos: i64::from(at.nanos) })
}

fn zone(name: &str) -> Result<tz::TimeZone, EvalError> {
    if let Some((hours, minutes)) = name.split_once(':') {
        let (hours, minutes) = (atoi(hours)?, atoi(minutes)?);
        let offset = if name.starts_with('-') { hours * 60 - minutes } else { hours * 60 + minutes };
        return match tz::Offset::from_seconds(offset.saturating_mul(60)) {
            Ok(offset) => Ok(tz::TimeZone::fixed(offset)),
            Err(_) => fail(format!("unknown time zone {name}")),
        };
    }
    if name.is_empty() || name == "UTC" || name == "Local" {
        return Ok(tz::TimeZone::UTC);
    }
    if name.contains("..") || name.starts_with(['/', '\\']) || name.contains('\\') {
        return fail("time: invalid location name");
    }
    match tz::TimeZone::get(name) {
        Ok(zone) if zone.iana_name() == Some(name) => Ok(zone),
        _ => fail(format!("unknown time zone {name}")),
    }
}

fn atoi(text: &str) -> Result<i32, EvalError> {
    let invalid = || EvalError::Failed(format!("strconv.Atoi: parsing {}: invalid syntax", gofmt::quote(text)).into());
    text.parse().map_err(|_| invalid())
}

fn part<'a>(args: &[Val<'a>], part: fn(&Local) -> i64) -> Evaluated<'a> {
    Ok(Val::Int(part(&local(args)?)))
}

fn year<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    part(args, |at| i64::from(at.date.year()) + at.years_beyond)
}

fn month<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    part(args, |at| i64::from(at.date.month()) - 1)
}

fn day_of_year<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    part(args, |at| i64::from(at.date.day_of_year()) - 1)
}

fn day_of_month<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    part(args, |at| i64::from(at.date.day()) - 1)
}

fn date<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    part(args, |at| i64::from(at.date.day()))
}

fn day_of_week<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    part(args, |at| (i64::from(at.date.weekday().to_sunday_zero_offset()) + at.years_beyond) % 7)
}

/// Of a duration the whole, of a timestamp a part.
fn unit<'a>(args: &[Val<'a>], nanos_each: i64, of_time: fn(&Local) -> i64) -> Evaluated<'a> {
    match args {
        [Val::Duration(nanos)] => Ok(Val::Int(nanos / nanos_each)),
        _ => part(args, of_time),
    }
}

fn hours<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    unit(args, 3_600_000_000_000, |at| at.second_of_day / 3600)
}

fn minutes<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    unit(args, 60_000_000_000, |at| at.second_of_day / 60 % 60)
}

fn seconds<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    unit(args, 1_000_000_000, |at| at.second_of_day % 60)
}

fn milliseconds<'a>(args: &[Val<'a>]) -> Evaluated<'a> {
    unit(args, 1_000_000, |at| at.nanos / 1_000_000)
}
