//! How far a failure reaches.

use crate::store::embedded::error::EmbeddedStoreError as Error;

/// Why a call fails.
pub(in crate::store::embedded) enum Failure {
    /// Only this call fails. It has changed nothing.
    Call(Error),
    /// The file failed. All calls of the same commit fail.
    File(Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        let (Self::Call(error) | Self::File(error)) = self;
        error
    }
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::File(error.into().into())
    }
}
