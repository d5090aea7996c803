//! The registered claims of RFC 7519 §4.1, `sid` (OpenID Connect Front-Channel Logout 1.0 §3), and
//! this crate's own claim `generation`.

mod audience;
mod confirmation;
mod measured;
mod members;
mod numeric_date;
mod plain;
mod read;
mod registered;
mod stored;
mod subject;

pub use audience::Audience;
pub use numeric_date::NumericDate;
pub use registered::{NoRandomness, RegisteredClaims};

pub(crate) use confirmation::{CERTIFICATE_THUMBPRINT, Confirmation, KEY_THUMBPRINT};
pub(crate) use measured::{allocation, decode_measured};
pub(crate) use members::{Allowances, PayloadError, RegisteredMembers, Times};
pub(crate) use read::read_registered;
pub(crate) use stored::StoredClaims;
