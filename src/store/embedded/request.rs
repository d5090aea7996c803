//! What the handles of a store send to its threads.

use tokio::sync::oneshot;

use super::error::EmbeddedStoreError as Error;
use super::tables::failure::Failure;
use super::tables::snapshot::Snapshot;
use super::tables::write::Tables;

/// A request to the writer thread.
pub(super) enum WriteRequest {
    Call(WriteCall),
    /// The reader thread has failed: reopen the database.
    Reopen,
    Close(oneshot::Sender<()>),
}

/// A call that may change the tables. It gets an error if it cannot run.
pub(super) type WriteCall = Box<dyn FnOnce(Result<&mut Tables<'_>, Error>) -> Reply + Send>;

/// Sends the answer of a call to its caller, after the commit. It gets the outcome of the commit.
pub(super) type Reply = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A request to the reader thread. Returns an error if the file failed.
pub(super) type ReadRequest = Box<dyn FnOnce(Result<&Snapshot, Error>) -> Option<Error> + Send>;

/// A request, and the receiver of its answer.
pub(super) fn write_request<T: Send + 'static>(
    run: impl FnOnce(&mut Tables<'_>) -> Result<T, Failure> + Send + 'static,
) -> (WriteRequest, oneshot::Receiver<Result<T, Error>>) {
    let (sender, receiver) = oneshot::channel();
    let request = WriteRequest::Call(Box::new(
        move |tables: Result<&mut Tables<'_>, Error>| -> Reply {
            let answer = tables.and_then(|tables| match run(tables) {
                Ok(answer) => Ok(answer),
                Err(Failure::Call(error)) => Err(error),
                Err(Failure::File(error)) => {
                    tables.file_error = Some(error.clone());
                    Err(error)
                }
            });
            Box::new(move |committed| {
                // The caller may have stopped waiting.
                let _ = sender.send(committed.and(answer));
            })
        },
    ));
    (request, receiver)
}

/// A request, and the receiver of its answer.
pub(super) fn read_request<T: Send + 'static>(
    run: impl FnOnce(&Snapshot) -> Result<T, Failure> + Send + 'static,
) -> (ReadRequest, oneshot::Receiver<Result<T, Error>>) {
    let (sender, receiver) = oneshot::channel();
    let request = Box::new(move |snapshot: Result<&Snapshot, Error>| {
        let (answer, failed) = match snapshot.map(run) {
            Ok(Ok(answer)) => (Ok(answer), None),
            Ok(Err(Failure::Call(error))) => (Err(error), None),
            Ok(Err(Failure::File(error))) | Err(error) => (Err(error.clone()), Some(error)),
        };
        let _ = sender.send(answer);
        failed
    });
    (request, receiver)
}
