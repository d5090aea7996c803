//! What the services of a layer hold of it.

use std::sync::Arc;

use super::authenticator::Authenticator;
use super::rejection::Answers;
use crate::lanes::{Apart, Lanes};

/// Answers, as a response that is under way holds them.
pub(super) type SharedAnswers<R> = Arc<Apart<Arc<Answers<R>>>>;

/// A layer as one thread sees it. What is counted for every request, here and in the answers, is counted for that thread alone.
pub(super) struct Lane<R, V> {
    authenticator: Arc<Authenticator<R, V>>,
    answers: SharedAnswers<R>,
}

/// A layer for each thread.
pub(super) type LaneSet<R, V> = Lanes<Arc<Apart<Lane<R, V>>>>;

/// A service's hold of its layer.
///
/// The one in a router's table is cloned for every request, by whichever thread has it: each clone is that thread's. A clone's clone
/// stays with the same thread's.
pub(super) struct Handle<R, V> {
    lane: Arc<Apart<Lane<R, V>>>,
    set: Option<Arc<LaneSet<R, V>>>,
}

impl<R, V> Lane<R, V> {
    fn of(authenticator: &Arc<Authenticator<R, V>>) -> Arc<Apart<Self>> {
        Arc::new(Apart(Self {
            authenticator: Arc::clone(authenticator),
            answers: Arc::new(Apart(Arc::clone(authenticator.answers()))),
        }))
    }

    pub(super) fn set(authenticator: &Arc<Authenticator<R, V>>) -> LaneSet<R, V> {
        Lanes::new(|| Self::of(authenticator))
    }
}

impl<R, V> Handle<R, V> {
    pub(super) fn new(authenticator: &Arc<Authenticator<R, V>>, set: Arc<LaneSet<R, V>>) -> Self {
        Self {
            lane: Lane::of(authenticator),
            set: Some(set),
        }
    }

    #[inline]
    pub(super) fn authenticator(&self) -> &Authenticator<R, V> {
        &self.lane.0.authenticator
    }

    #[inline]
    pub(super) fn answers(&self) -> SharedAnswers<R> {
        Arc::clone(&self.lane.0.answers)
    }
}

impl<R, V> Clone for Handle<R, V> {
    #[inline]
    fn clone(&self) -> Self {
        let own = self.set.as_ref().and_then(|set| set.own());
        Self {
            lane: Arc::clone(own.unwrap_or(&self.lane)),
            set: None,
        }
    }
}
