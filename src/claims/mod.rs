//! The registered claims of RFC 7519 §4.1, `sid` (OpenID Connect Front-Channel Logout 1.0 §3), and `generation`.

mod plain;
mod scan;
mod stored;

pub(crate) use scan::RegisteredMembers;
pub(crate) use stored::{StoredClaims, Times};

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use crate::json;

/// The registered claims of a payload, read strictly.
pub(crate) fn read_registered(payload: &str) -> Result<RegisteredMembers<'_>, serde_json::Error> {
    let mut members = RegisteredMembers::default();
    // What is plain is not deep.
    if plain::read(payload, &mut members).is_some() {
        return Ok(members);
    }
    if !json::is_shallow(payload.as_bytes()) {
        // Its own error says where.
        let error = serde_json::from_str::<serde_json::Value>(payload).err();
        return Err(error.unwrap_or_else(|| serde_json::Error::custom("nested too deeply")));
    }
    serde_json::from_str(payload)
}

/// A point in time as a claim holds it: seconds since 1970-01-01T00:00:00Z (RFC 7519 §2), with or without a fraction.
///
/// The epoch is the earliest and the end of the year 9999 the latest date. A later one is no date anybody means:
/// most often it counts milliseconds, and would make a token valid for ages.
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

    /// The date this much later, and no later than [`NumericDate::MAX`].
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

    /// Whole seconds since the epoch, rounded up: until then all tokens with that `exp` may count.
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

/// A time before the epoch becomes the epoch, one beyond [`NumericDate::MAX`] becomes that.
/// The fraction of the second is dropped.
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

        // Not `deserialize_any`: under serde_json's `arbitrary_precision` that would be handed a map.
        deserializer.deserialize_f64(Date)
    }
}

/// Who a token is for (RFC 7519 §4.1.3): one string, or an array of them. An empty array names
/// nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Audience(Vec<String>);

impl Audience {
    /// Whether `name` is one of them: compared whole, byte for byte.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|audience| audience == name)
    }

    /// The names, in the order of the token.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl From<&str> for Audience {
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl From<String> for Audience {
    fn from(name: String) -> Self {
        Self(vec![name])
    }
}

/// If empty, it names nobody: a verifier with an audience refuses such a token, one without accepts
/// it.
impl From<Vec<String>> for Audience {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

/// If empty, it names nobody: a verifier with an audience refuses such a token, one without accepts
/// it.
impl<S: Into<String>, const N: usize> From<[S; N]> for Audience {
    fn from(names: [S; N]) -> Self {
        Self::from_iter(names)
    }
}

impl<S: Into<String>> FromIterator<S> for Audience {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// Shows how many there are, not who.
impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Audience({} names)", self.0.len())
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [name] = self.0.as_slice() {
            return serializer.serialize_str(name);
        }
        let mut names = serializer.serialize_seq(Some(self.0.len()))?;
        for name in &self.0 {
            names.serialize_element(name)?;
        }
        names.end()
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Audience, E> {
                Ok(Audience::from(name))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Audience, A::Error> {
                let mut audience = Vec::new();
                while let Some(name) = names.next_element()? {
                    audience.push(name);
                }
                Ok(Audience(audience))
            }
        }

        deserializer.deserialize_any(Names)
    }
}

/// The registered claims as a value of one's own: to mint a token with, or to extract with
/// `Claims<RegisteredClaims>` where no others are needed.
///
/// To mint more claims than these, embed it:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use serde::Serialize;
/// use tower_jwt_auth::claims::RegisteredClaims;
///
/// #[derive(Serialize)]
/// struct Access {
///     name: String,
///     #[serde(flatten)]
///     registered: RegisteredClaims,
/// }
///
/// let registered = RegisteredClaims::valid_for(Duration::from_secs(300), SystemTime::now())
///     .subject("248289761001")
///     .audience("api")
///     .random_token_id()?;
/// # let _ = Access { name: "Jane".into(), registered };
/// # Ok::<_, tower_jwt_auth::claims::NoRandomness>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegisteredClaims {
    /// `iss`: who issued the token (§4.1.1).
    #[serde(rename = "iss", default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `sub`: whom the token speaks of (§4.1.2).
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `aud`: whom the token is for (§4.1.3).
    #[serde(rename = "aud", default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// `exp`: the first moment at which the token no longer counts (§4.1.4).
    #[serde(rename = "exp", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<NumericDate>,
    /// `nbf`: the first moment at which the token counts (§4.1.5).
    #[serde(rename = "nbf", default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<NumericDate>,
    /// `iat`: when the token was issued (§4.1.6).
    #[serde(rename = "iat", default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<NumericDate>,
    /// `jti`: the token's own id (§4.1.7).
    #[serde(rename = "jti", default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// `sid`: the session that the token belongs to.
    #[serde(rename = "sid", default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// `generation`: how often the subject had been logged out everywhere when the token was issued. Not
    /// registered: this crate's own.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number_or_none"
    )]
    pub generation: Option<u64>,
}

fn number_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    scan::Generation::deserialize(deserializer).map(|generation| generation.0)
}

impl RegisteredClaims {
    /// Claims issued at `now`, in whole seconds, that expire `lifetime` later.
    #[must_use]
    pub fn valid_for(lifetime: Duration, now: SystemTime) -> Self {
        let issued_at = NumericDate::from(now);
        let expires_at = issued_at.0.saturating_add(lifetime).min(NumericDate::MAX.0);
        Self {
            issued_at: Some(issued_at),
            expires_at: Some(NumericDate(Duration::from_secs(expires_at.as_secs()))),
            ..Self::default()
        }
    }

    /// Sets `iss`.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets `sub`.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets `aud`: a name, or several at once.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<Audience>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets `jti`.
    #[must_use]
    pub fn token_id(mut self, token_id: impl Into<String>) -> Self {
        self.token_id = Some(token_id.into());
        self
    }

    /// Sets `jti` to 128 random bits, as 32 hexadecimal digits: one that no other token has, and nobody guesses.
    ///
    /// # Errors
    ///
    /// If the system has no randomness.
    pub fn random_token_id(self) -> Result<Self, NoRandomness> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| NoRandomness)?;
        Ok(self.token_id(format!("{:032x}", u128::from_be_bytes(id))))
    }

    /// Sets `sid`.
    #[must_use]
    pub fn session_id(mut self, session_id: impl Into<String>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }

    /// Sets `generation`.
    #[must_use]
    pub fn generation(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }
}

/// The system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system has no randomness")
    }
}

impl std::error::Error for NoRandomness {}

/// Shows no values.
impl fmt::Debug for RegisteredClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredClaims").finish_non_exhaustive()
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

    #[test]
    fn audiences() {
        let read = |json| serde_json::from_str::<Audience>(json).ok();
        assert_eq!(read(r#""a""#), Some(Audience::from("a")));
        assert_eq!(read(r#"["a","b"]"#), Some(Audience::from_iter(["a", "b"])));
        assert_eq!(read("[]"), Some(Audience::default()));
        for json in ["1", "null", "[1]", "{}", r#"["a",null]"#] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
