//! The registered claims, as a verified token keeps them.

use std::borrow::Cow;
use std::num::NonZeroU32;

use super::confirmation::Binding;
use super::measured::allocation;
use super::members::{AudienceMember, RegisteredMembers, Times};
use crate::token::JwkThumbprint;

/// The registered claims, as positions in the text of the token.
#[derive(Clone)]
pub(crate) struct StoredClaims {
    issuer: Option<Position>,
    subject: Option<Position>,
    audience: StoredAudience,
    token_id: Option<Position>,
    session_id: Option<Position>,
    pub(crate) generation: Option<u64>,
    /// Few tokens are bound to a key or a certificate.
    binding: Option<Box<Binding>>,
    times: Times,
}

#[derive(Clone)]
enum StoredAudience {
    None,
    One(Position),
    Many(Box<[Position]>),
}

/// Where a string is in the text.
#[derive(Clone, Copy)]
struct Position {
    start: u32,
    /// Never 0, as the payload begins with a brace. So an `Option` takes no more space.
    end: NonZeroU32,
}

impl Position {
    fn new(start: usize, length: usize) -> Option<Self> {
        let end = u32::try_from(start.checked_add(length)?).ok()?;
        Some(Self {
            start: u32::try_from(start).ok()?,
            end: NonZeroU32::new(end)?,
        })
    }

    #[inline]
    fn read(self, text: &str) -> Option<&str> {
        let end = usize::try_from(self.end.get()).ok()?;
        text.get(usize::try_from(self.start).ok()?..end)
    }
}

/// Finds the strings of a payload. Those that are written with escapes are appended to it.
struct Positions<'a> {
    payload: &'a str,
    unescaped: String,
}

impl Positions<'_> {
    #[inline]
    fn find(&mut self, text: &str) -> Option<Position> {
        let start = text
            .as_ptr()
            .addr()
            .checked_sub(self.payload.as_ptr().addr());
        let is_inside = |start: &usize| {
            let end = start.checked_add(text.len());
            end.is_some_and(|end| end <= self.payload.len())
        };
        if let Some(start) = start.filter(is_inside) {
            return Position::new(start, text.len());
        }
        let start = self.payload.len().checked_add(self.unescaped.len())?;
        self.unescaped.push_str(text);
        Position::new(start, text.len())
    }

    fn find_member(&mut self, member: Option<&Cow<'_, str>>) -> Option<Option<Position>> {
        match member {
            None => Some(None),
            Some(text) => self.find(text).map(Some),
        }
    }
}

impl StoredClaims {
    /// The claims of `members`, which were read from `payload`, and what must follow the payload in
    /// the text. `None` if the payload is 4 GiB large.
    #[inline]
    pub(crate) fn new(
        members: &RegisteredMembers<'_>,
        times: Times,
        payload: &str,
    ) -> Option<(Self, String)> {
        let mut positions = Positions {
            payload,
            unescaped: String::new(),
        };
        let audience = match &members.audience {
            None => StoredAudience::None,
            Some(AudienceMember::One(name)) => StoredAudience::One(positions.find(name)?),
            Some(AudienceMember::Many(names)) => {
                let names = names.iter().map(|name| positions.find(name));
                StoredAudience::Many(names.collect::<Option<_>>()?)
            }
        };
        let claims = Self {
            issuer: positions.find_member(members.issuer.as_ref())?,
            subject: positions.find_member(members.subject.as_ref())?,
            audience,
            token_id: positions.find_member(members.token_id.as_ref())?,
            session_id: positions.find_member(members.session_id.as_ref())?,
            generation: members.generation.and_then(|generation| generation.0),
            binding: members
                .confirmation
                .as_ref()
                .map(|confirmation| Box::new(confirmation.binding)),
            times,
        };
        Some((claims, positions.unescaped))
    }

    #[inline]
    pub(crate) fn times(&self) -> Times {
        self.times
    }

    /// Its allocations, in bytes.
    pub(crate) fn heap_size(&self) -> usize {
        let binding = self.binding.as_deref().map_or(0, size_of_val);
        let audience = match &self.audience {
            StoredAudience::None | StoredAudience::One(_) => 0,
            StoredAudience::Many(names) => size_of_val::<[_]>(names),
        };
        allocation(binding).saturating_add(allocation(audience))
    }

    #[inline]
    pub(crate) fn issuer<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        self.issuer.as_ref()?.read(text)
    }

    #[inline]
    pub(crate) fn subject<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        self.subject.as_ref()?.read(text)
    }

    pub(crate) fn audience<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let names = match &self.audience {
            StoredAudience::None => &[],
            StoredAudience::One(name) => std::slice::from_ref(name),
            StoredAudience::Many(names) => names,
        };
        names.iter().filter_map(|name| name.read(text))
    }

    #[inline]
    pub(crate) fn token_id<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        self.token_id.as_ref()?.read(text)
    }

    #[inline]
    pub(crate) fn key_thumbprint(&self) -> Option<&JwkThumbprint> {
        self.binding.as_ref()?.key.as_ref()
    }

    #[inline]
    pub(crate) fn certificate_digest(&self) -> Option<&[u8; 32]> {
        self.binding.as_ref()?.certificate.as_ref()
    }

    #[inline]
    pub(crate) fn session_id<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        self.session_id.as_ref()?.read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_places_in_the_payload_unless_written_with_escapes() {
        let payload =
            r#"{"sub":"zoë","jti":"a\u0062","aud":["x","\u0079"],"exp":1,"n":[{"sub":1}]}"#;
        let allowed = crate::claims::Allowances::default();
        let members = crate::claims::read_registered(payload, allowed).unwrap();
        let times = members.times(None).unwrap();
        let (stored, unescaped) = StoredClaims::new(&members, times, payload).unwrap();
        assert_eq!(unescaped, "yab");
        let text = format!("{payload}{unescaped}");
        assert_eq!(stored.subject(&text), Some("zoë"));
        assert_eq!(stored.token_id(&text), Some("ab"));
        assert_eq!(stored.audience(&text).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(stored.issuer(&text), None);
    }
}
