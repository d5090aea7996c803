//! The registered claims as a verified token keeps them.

use std::borrow::Cow;

use super::confirmation::Binding;
use super::members::{AudienceMember, RegisteredMembers, Times};
use crate::token::JwkThumbprint;

/// The registered claims, mostly as positions in the payload.
#[derive(Clone)]
pub(crate) struct StoredClaims {
    issuer: Option<Text32>,
    subject: Option<Text32>,
    audience: StoredAudience,
    token_id: Option<Text32>,
    session_id: Option<Text32>,
    pub(crate) generation: Option<u64>,
    /// Few tokens are bound to a key or a certificate.
    binding: Option<Box<Binding>>,
    times: Times,
}

#[derive(Clone)]
enum StoredAudience {
    None,
    One(Text32),
    Many(Box<[Text32]>),
}

/// A string of the payload: its position, or a copy if it has escapes.
#[derive(Clone)]
enum Text32 {
    At { start: u32, end: u32 },
    Unescaped(Box<str>),
}

impl Text32 {
    /// Copies `text` if it does not point into `payload`.
    #[inline]
    fn new(text: &str, payload: &str) -> Self {
        let place = || {
            let start = text.as_ptr().addr().checked_sub(payload.as_ptr().addr())?;
            let end = start.checked_add(text.len())?;
            payload.get(start..end)?;
            Some(Self::At {
                start: u32::try_from(start).ok()?,
                end: u32::try_from(end).ok()?,
            })
        };
        place().unwrap_or_else(|| Self::Unescaped(text.into()))
    }

    fn heap_size(&self) -> usize {
        match self {
            Self::At { .. } => 0,
            Self::Unescaped(text) => text.len(),
        }
    }

    #[inline]
    fn read<'a>(&'a self, payload: &'a str) -> Option<&'a str> {
        match self {
            Self::At { start, end } => {
                payload.get(usize::try_from(*start).ok()?..usize::try_from(*end).ok()?)
            }
            Self::Unescaped(text) => Some(text),
        }
    }
}

impl StoredClaims {
    /// The claims of `members`, which were read from `payload`.
    #[inline]
    pub(crate) fn new(members: &RegisteredMembers<'_>, times: Times, payload: &str) -> Self {
        let text =
            |member: &Option<Cow<'_, str>>| member.as_ref().map(|text| Text32::new(text, payload));
        Self {
            issuer: text(&members.issuer),
            subject: text(&members.subject),
            audience: match &members.audience {
                None => StoredAudience::None,
                Some(AudienceMember::One(name)) => StoredAudience::One(Text32::new(name, payload)),
                Some(AudienceMember::Many(names)) => StoredAudience::Many(
                    names
                        .iter()
                        .map(|name| Text32::new(name, payload))
                        .collect(),
                ),
            },
            token_id: text(&members.token_id),
            session_id: text(&members.session_id),
            generation: members.generation.and_then(|generation| generation.0),
            binding: members
                .confirmation
                .as_ref()
                .map(|confirmation| Box::new(confirmation.binding)),
            times,
        }
    }

    #[inline]
    pub(crate) fn times(&self) -> Times {
        self.times
    }

    /// Its allocations, in bytes.
    pub(crate) fn heap_size(&self) -> usize {
        let texts = [
            &self.issuer,
            &self.subject,
            &self.token_id,
            &self.session_id,
        ];
        let heap = |size: usize, text: &Text32| size.saturating_add(text.heap_size());
        let binding = self.binding.as_deref().map_or(0, size_of_val);
        let size = texts.into_iter().flatten().fold(binding, heap);
        match &self.audience {
            StoredAudience::None => size,
            StoredAudience::One(name) => heap(size, name),
            StoredAudience::Many(names) => names
                .iter()
                .fold(size.saturating_add(size_of_val::<[_]>(names)), heap),
        }
    }

    #[inline]
    pub(crate) fn issuer<'a>(&'a self, payload: &'a str) -> Option<&'a str> {
        self.issuer.as_ref()?.read(payload)
    }

    #[inline]
    pub(crate) fn subject<'a>(&'a self, payload: &'a str) -> Option<&'a str> {
        self.subject.as_ref()?.read(payload)
    }

    pub(crate) fn audience<'a>(&'a self, payload: &'a str) -> impl Iterator<Item = &'a str> {
        let names = match &self.audience {
            StoredAudience::None => &[],
            StoredAudience::One(name) => std::slice::from_ref(name),
            StoredAudience::Many(names) => names,
        };
        names.iter().filter_map(|name| name.read(payload))
    }

    #[inline]
    pub(crate) fn token_id<'a>(&'a self, payload: &'a str) -> Option<&'a str> {
        self.token_id.as_ref()?.read(payload)
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
    pub(crate) fn session_id<'a>(&'a self, payload: &'a str) -> Option<&'a str> {
        self.session_id.as_ref()?.read(payload)
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
        let stored = StoredClaims::new(&members, members.times(None).unwrap(), payload);
        assert!(matches!(stored.subject, Some(Text32::At { .. })));
        assert!(matches!(stored.token_id, Some(Text32::Unescaped(_))));
        assert_eq!(stored.subject(payload), Some("zoë"));
        assert_eq!(stored.token_id(payload), Some("ab"));
        assert_eq!(stored.audience(payload).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(stored.issuer(payload), None);
    }
}
