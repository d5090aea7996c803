//! The schemes of `Authorization` that challenges name.

/// How a client sends its token. A token in a cookie is a bearer token too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449 §7.1.
    Dpop,
}

impl Scheme {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}
