//! Elevation: the user of a session is authenticated again (RFC 9470).

use super::error::{SessionError, SessionErrorKind};
use super::refresh::Renewal;
use super::session_id::SessionId;
use super::sessions::Sessions;
use super::store::SessionStore;
use super::token_pair::TokenPair;

/// The longest `acr`, in bytes: every access token of the session carries it.
const MAX_ACR_BYTES: usize = 256;

impl<S: SessionStore> Sessions<S> {
    /// Sets `acr` and `auth_time` of the session `sid`, and issues a new token pair for it. After
    /// you checked a second factor, call it with the `sid` from
    /// [`session_of`](Sessions::session_of).
    ///
    /// Guards require both claims: [`Require::acr`](crate::Require::acr) and
    /// [`Require::authenticated_within`](crate::Require::authenticated_within). The guide
    /// `second_factor` has a whole example. The session keeps the level until it ends. To limit how
    /// long the level counts, also require a recent authentication.
    ///
    /// During the grace, the previous refresh token is refused with [`SessionErrorKind::Elevated`].
    /// After the grace, its use is treated as reuse. So a stolen copy never yields the new level.
    /// The client must not refresh while this runs. A concurrent refresh returns an older refresh
    /// token. If the client stores that token last, the user must log in again.
    ///
    /// Access tokens from before are not revoked. They work until they expire, without the new
    /// level.
    ///
    /// ```
    /// # use tower_jwt_auth::VerifiedToken;
    /// # use tower_jwt_auth::session::{SessionError, SessionStore, Sessions, TokenPair};
    /// // After the one-time password was checked. The answer must deliver the new tokens.
    /// async fn step_up<S: SessionStore>(
    ///     sessions: &Sessions<S>,
    ///     token: &VerifiedToken,
    /// ) -> Result<TokenPair, SessionError> {
    ///     sessions.elevate(sessions.session_of(token)?, "mfa").await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`SessionErrorKind::InvalidAcr`] unless `acr` is 1 to 256 characters of printable ASCII
    ///   without spaces, quotes and backslashes. Nothing changes.
    /// - [`SessionErrorKind::Ended`] if the session has ended, or belongs to another issuer. Other
    ///   kinds, as for [`refresh`](Sessions::refresh), if it cannot be refreshed any more.
    /// - [`SessionErrorKind::Impersonated`] if somebody [impersonates](Sessions::impersonate) the
    ///   subject: the second factor is not the subject's. Nothing changes.
    /// - [`SessionErrorKind::InvalidClaims`] or [`SessionErrorKind::TokenTooLong`] for what the
    ///   [claims function](Sessions::claims) returned. Nothing changes.
    /// - [`SessionErrorKind::Unavailable`] if the claims function or the store fails. Also if, at
    ///   each of four attempts, the session or its data change, or the subject's access tokens are
    ///   invalidated.
    /// - [`SessionErrorKind::Backend`] if the crypto back-end fails.
    ///
    /// After `Unavailable` the session may be elevated, and the client's refresh token replaced.
    /// Call this again at once: it replaces the token again. Without that, the user must log in
    /// again once the [grace](Sessions::grace) is over.
    pub async fn elevate(
        &self,
        sid: SessionId,
        acr: impl Into<String>,
    ) -> Result<TokenPair, SessionError> {
        let acr = checked_acr(acr.into())?;
        self.renew(sid, &Renewal::Elevation { acr }).await
    }
}

/// Refuses an `acr` that no guard could require. A challenge lists the values separated by spaces
/// (RFC 9470 §3).
pub(super) fn checked_acr(acr: String) -> Result<String, SessionError> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if !(1..=MAX_ACR_BYTES).contains(&acr.len()) || !acr.bytes().all(is_allowed) {
        return Err(SessionErrorKind::InvalidAcr.into());
    }
    Ok(acr)
}
