//! The layer's setter for opaque tokens.

use super::layer::JwtAuthLayer;
use crate::introspection::Introspection;

impl<R, V> JwtAuthLayer<R, V> {
    /// As [`Verifier::introspection`](crate::Verifier::introspection): asks an issuer about opaque
    /// tokens, beside the keys.
    ///
    /// # Panics
    ///
    /// As [`Verifier::introspection`](crate::Verifier::introspection).
    #[cfg_attr(docsrs, doc(cfg(feature = "introspection")))]
    #[must_use]
    #[track_caller]
    pub fn introspection(self, introspection: Introspection) -> Self {
        let verifier = self.verifier().introspection(introspection);
        self.set_verifier(verifier)
    }
}
