//! The reader thread.

use tokio::sync::mpsc;

use super::inner::Inner;
use super::request::{ReadRequest, WriteRequest};
use super::tables::snapshot::Snapshot;

/// Answers requests until the last handle is dropped. Asks the writer thread to reopen the database
/// after a failure.
pub(super) fn run(
    inner: &Inner,
    requests: &mut mpsc::Receiver<ReadRequest>,
    writer: &mpsc::WeakSender<WriteRequest>,
) {
    while let Some(request) = requests.blocking_recv() {
        let mut request = Some(request);
        let failed = inner.with_database(|open| {
            let snapshot = Snapshot::open(open);
            let request = request.take();
            Ok(request.and_then(|request| match snapshot {
                Ok(snapshot) => request(Ok(&snapshot)),
                Err(error) => request(Err(error)),
            }))
        });
        let failed = match (failed, request) {
            (Err(error), Some(request)) => request(Err(error)),
            (Err(error), None) => Some(error),
            (Ok(failed), _) => failed,
        };
        if failed.is_some()
            && let Some(writer) = writer.upgrade()
        {
            // With a full queue, the writer thread notices the failure itself.
            let _ = writer.try_send(WriteRequest::Reopen);
        }
    }
}
