//! Records what is reported through `tracing`, for each thread by itself.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

thread_local! {
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What this thread reports through `tracing`, at any level: a line for each event and span.
/// A line has the level, the target and the fields.
pub(crate) struct Log(());

impl Log {
    /// Drops the lines before.
    pub(crate) fn start() -> Self {
        static RECORDER: Once = Once::new();
        // One subscriber for the process: subscribers of single tests would race to set the
        // interest in a callsite. A second dispatcher makes `tracing` ask all dispatchers about a
        // new callsite, not only that of the thread.
        RECORDER.call_once(|| {
            std::mem::forget(Dispatch::new(Recorder));
            tracing::subscriber::set_global_default(Recorder).unwrap();
        });
        let log = Self(());
        log.take();
        log
    }

    /// The lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        LOGGED.take()
    }
}

struct Recorder;

impl Recorder {
    fn write(metadata: &Metadata<'_>, record: impl FnOnce(&mut dyn Visit)) {
        let mut line = format!("{} {}", metadata.level(), metadata.target());
        record(&mut |field: &Field, value: &dyn fmt::Debug| {
            write!(line, " {field}={value:?}").unwrap();
        });
        LOGGED.with_borrow_mut(|lines| lines.push(line));
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        Self::write(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            LOGGED.with_borrow_mut(|lines| lines.push(format!("{field}={value:?}")));
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        Self::write(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
