//! The header Grpc-Timeout of a request to the gateway: a number of at most eight digits and a unit, as in gRPC.

use std::time::Duration;

use http::HeaderMap;
use tonic::Status;

const UNITS: [(char, Duration); 6] = [
    ('H', Duration::from_secs(3600)),
    ('M', Duration::from_secs(60)),
    ('S', Duration::from_secs(1)),
    ('m', Duration::from_millis(1)),
    ('u', Duration::from_micros(1)),
    ('n', Duration::from_nanos(1)),
];

pub(super) fn of(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(said) = headers.get("grpc-timeout").filter(|said| !said.is_empty()) else { return Ok(None) };
    let said = said.to_str().unwrap_or("?");
    parse(said).map(Some).ok_or_else(|| Status::invalid_argument(format!("invalid grpc-timeout: {said}")))
}

fn parse(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = &text[..text.len() - unit.len_utf8()];
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    // More digits are no more than a very long time.
    let number = is_number.then(|| digits.parse::<u32>().unwrap_or(u32::MAX))?;
    Some(unit.saturating_mul(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_and_a_unit() {
        let cases = [
            ("1S", Some(Duration::from_secs(1))),
            ("250m", Some(Duration::from_millis(250))),
            ("2H", Some(Duration::from_secs(7200))),
            ("S", None),
            ("1", None),
            ("-1S", None),
            ("1s", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
