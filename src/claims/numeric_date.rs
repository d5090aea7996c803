//! Dates in claims.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// A date in a claim: seconds since 1970-01-01T00:00:00Z (RFC 7519 §2), with or without a fraction.
///
/// The earliest date is the epoch, the latest is the end of the year 9999. A later date is an
/// error. It is usually in milliseconds by mistake; such a token would practically never expire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumericDate(Duration);

impl NumericDate {
    /// 9999-12-31T23:59:59Z, the latest date that RFC 3339 can write.
    pub const MAX: Self = Self(Duration::from_secs(253_402_300_799));

    /// The date `seconds` after the epoch; `None` beyond [`NumericDate::MAX`].
    #[inline]
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        Self::from_since_epoch(Duration::from_secs(seconds))
    }

    /// The date this long after the epoch; `None` beyond [`NumericDate::MAX`].
    #[inline]
    #[must_use]
    pub fn from_since_epoch(since_epoch: Duration) -> Option<Self> {
        (since_epoch <= Self::MAX.0).then_some(Self(since_epoch))
    }

    /// `time` with its fraction of a second, within the bounds of a date.
    pub(crate) fn precise(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
        Self(since_epoch.unwrap_or_default().min(Self::MAX.0))
    }

    /// The date this much later, at most [`NumericDate::MAX`].
    pub(crate) fn later_by(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by).min(Self::MAX.0))
    }

    /// The date without its fraction of a second.
    pub(crate) fn whole_seconds(self) -> Self {
        Self(Duration::from_secs(self.0.as_secs()))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0.as_secs()
    }

    /// Whole seconds since the epoch, rounded up.
    pub(crate) fn seconds_up(self) -> u64 {
        let fraction = u64::from(self.0.subsec_nanos() > 0);
        self.0.as_secs().saturating_add(fraction)
    }

    /// Time since the epoch.
    #[inline]
    #[must_use]
    pub fn since_epoch(self) -> Duration {
        self.0
    }
}

/// Clamps the time to the range from the epoch to [`NumericDate::MAX`]. The fraction of the second
/// is dropped.
impl From<SystemTime> for NumericDate {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(Duration::from_secs(since_epoch.as_secs()).min(Self::MAX.0))
    }
}

impl From<NumericDate> for SystemTime {
    fn from(date: NumericDate) -> Self {
        // Every platform's time reaches beyond the year 9999.
        Self::UNIX_EPOCH
            .checked_add(date.0)
            .unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Shows nothing: a date is a claim's value.
impl fmt::Debug for NumericDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumericDate(..)")
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Date;

        impl Visitor<'_> for Date {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since the epoch, up to the year 9999")
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<NumericDate, E> {
                NumericDate::from_seconds(seconds).ok_or_else(|| E::custom("date out of range"))
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<NumericDate, E> {
                let seconds = u64::try_from(seconds).map_err(|_| E::custom("date out of range"))?;
                self.visit_u64(seconds)
            }

            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<NumericDate, E> {
                Duration::try_from_secs_f64(seconds)
                    .ok()
                    .and_then(NumericDate::from_since_epoch)
                    .ok_or_else(|| E::custom("date out of range"))
            }
        }

        // `deserialize_any` would get a map under serde_json's `arbitrary_precision`.
        deserializer.deserialize_f64(Date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(json: &str) -> Option<Duration> {
        serde_json::from_str(json)
            .ok()
            .map(NumericDate::since_epoch)
    }

    #[test]
    fn dates_are_numbers_within_bounds() {
        assert_eq!(date("0"), Some(Duration::ZERO));
        assert_eq!(date("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(date("1e3"), Some(Duration::from_secs(1000)));
        assert_eq!(date("253402300799"), Some(NumericDate::MAX.0));
        for json in [
            "-1",
            "-0.5",
            "1e999",
            "253402300800",
            "253402300799.5",
            "9223372036854775807",
            "18446744073709551616",
            "1e20",
            "NaN",
            "\"123\"",
            "null",
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(date(json), None, "{json}");
        }
    }

    #[test]
    fn dates_are_written_as_they_are_read() {
        for json in ["0", "1.5", "1700000000"] {
            let date: NumericDate = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&date).unwrap(), json);
        }
    }
}
