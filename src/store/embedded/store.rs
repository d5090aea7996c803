//! The handle of an embedded store.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::change::Change;
use super::error::EmbeddedStoreError as Error;
use super::inner::Inner;
use super::request::{ReadRequest, WriteRequest, read_request, write_request};
use super::tables::failure::Failure;
use super::tables::snapshot::Snapshot;
use super::tables::write::Tables;
use crate::revocation::{Revocation, RevocationStore, TokenIdentity};

/// Keeps sessions and revocations in one file. Clones share the file.
///
/// Dropping the last clone closes the file a moment later. To wait for that, call
/// [`close`](EmbeddedStore::close). See the [module docs](super) for an example.
#[derive(Clone)]
pub struct EmbeddedStore {
    pub(super) inner: Arc<Inner>,
    writer: mpsc::Sender<WriteRequest>,
    reader: mpsc::Sender<ReadRequest>,
}

/// The size of an [`EmbeddedStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedStoreState {
    /// The number of sessions, including expired ones that are not dropped yet.
    pub sessions: u64,
    /// The number of revocations in memory, including expired ones that are not dropped yet.
    pub revocations: usize,
    /// The size of the file in bytes. An open file does not shrink: new rows reuse the space of
    /// dropped ones.
    pub file_bytes: u64,
}

impl EmbeddedStore {
    pub(super) fn new(
        inner: Arc<Inner>,
        writer: mpsc::Sender<WriteRequest>,
        reader: mpsc::Sender<ReadRequest>,
    ) -> Self {
        Self {
            inner,
            writer,
            reader,
        }
    }

    /// Revokes a token, a session, or tokens of a subject. You may repeat a revocation.
    ///
    /// Once this has returned, the revocation is on disk and every look-up sees it. It also applies
    /// to the sessions in this store:
    ///
    /// - Revoking a session ends it.
    /// - A [`Generation`](crate::revocation::Revocation::Generation) ends the subject's sessions
    ///   with a lower generation.
    /// - A block rejects logins and refreshes until
    ///   [`unblock`](crate::session::SessionStore::unblock).
    ///
    /// To block a subject that logs in here, prefer
    /// [`block`](crate::session::SessionStore::block). It also rejects a login that begins before
    /// the block and completes after it is lifted.
    ///
    /// Tokens issued before `unblock` stay revoked. There is an exception for a subject whose
    /// tokens your `Sessions` do not issue. Suppose that its access epoch in this store is not 0,
    /// for example after `block`. Then a token is accepted again if its claim `generation` is not
    /// lower than that epoch.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, the revocation set is full, or a generation is too high.
    /// [`SetFull`](Error::SetFull), [`TooLong`](Error::TooLong) and
    /// [`OutOfRange`](Error::OutOfRange): nothing has changed. Any other error: the revocation may
    /// be in force; repeat the call.
    pub async fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), Error> {
        let revocation = Change::from(revocation);
        let inner = Arc::clone(&self.inner);
        self.write(move |tables| tables.revoke(revocation, inner.now()))
            .await
    }

    /// The number of sessions and revocations, and the size of the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub async fn state(&self) -> Result<EmbeddedStoreState, Error> {
        let inner = Arc::clone(&self.inner);
        self.read(move |snapshot| {
            Ok(EmbeddedStoreState {
                sessions: snapshot.session_count().map_err(Failure::File)?,
                revocations: inner.index.len(),
                file_bytes: snapshot.file_bytes().map_err(Failure::File)?,
            })
        })
        .await
    }

    /// Closes the file for all clones, once the earlier calls are answered. Then you can open it
    /// again.
    ///
    /// Look-ups of revocations still work. Every other call fails with [`Closed`](Error::Closed).
    pub async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.writer.send(WriteRequest::Close(done)).await.is_ok() {
            // An error means that another call closes the store.
            let _ = wait.await;
        }
        // In both cases the writer thread drops its channel once the file is closed.
        self.writer.closed().await;
    }

    /// Runs a call in the writer thread, and waits until it is on disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Tables<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (request, answer) = write_request(run);
        if self.writer.send(request).await.is_err() {
            return Err(Error::Closed);
        }
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Runs a call in the reader thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Snapshot) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let (request, answer) = read_request(run);
        if self.reader.send(request).await.is_err() {
            return Err(Error::Closed);
        }
        answer.await.unwrap_or(Err(Error::Closed))
    }
}

/// Answers from memory, without waiting.
impl RevocationStore for EmbeddedStore {
    type Error = Error;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, Error> {
        self.inner.index.is_revoked(token)
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        self.inner.index.is_revoked(token).ok()
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}
