//! How the services of a layer share its settings.

use std::sync::Arc;

use super::authenticator::Authenticator;
use super::responder::Responder;
use crate::per_thread::{CachePadded, PerThread};

/// The responder, as a response under way holds it.
pub(super) type SharedResponder<R> = Arc<CachePadded<Arc<Responder<R>>>>;

pub(super) fn shared<R>(responder: Responder<R>) -> SharedResponder<R> {
    Arc::new(CachePadded(Arc::new(responder)))
}

/// The settings of a layer with reference counts of their own, which only some threads touch.
pub(super) struct LayerCopy<R, V> {
    authenticator: Arc<Authenticator<R, V>>,
    responder: SharedResponder<R>,
}

/// One copy for each thread.
pub(super) type LayerCopies<R, V> = PerThread<Arc<CachePadded<LayerCopy<R, V>>>>;

/// A service's reference to its layer.
///
/// A router clones the service in its table for every request, on any thread: each clone takes the
/// copy of that thread. A clone of a clone keeps its copy.
pub(super) struct LayerHandle<R, V> {
    copy: Arc<CachePadded<LayerCopy<R, V>>>,
    /// `None` in a clone.
    copies: Option<Arc<LayerCopies<R, V>>>,
}

impl<R, V> LayerCopy<R, V> {
    fn new(authenticator: &Arc<Authenticator<R, V>>) -> Arc<CachePadded<Self>> {
        Arc::new(CachePadded(Self {
            authenticator: Arc::clone(authenticator),
            responder: Arc::new(CachePadded(Arc::clone(authenticator.responder()))),
        }))
    }

    pub(super) fn for_each_thread(authenticator: &Arc<Authenticator<R, V>>) -> LayerCopies<R, V> {
        PerThread::new(|| Self::new(authenticator))
    }
}

impl<R, V> LayerHandle<R, V> {
    pub(super) fn new(
        authenticator: &Arc<Authenticator<R, V>>,
        copies: Arc<LayerCopies<R, V>>,
    ) -> Self {
        Self {
            copy: LayerCopy::new(authenticator),
            copies: Some(copies),
        }
    }

    #[inline]
    pub(super) fn authenticator(&self) -> &Authenticator<R, V> {
        &self.copy.0.authenticator
    }

    #[inline]
    pub(super) fn responder(&self) -> SharedResponder<R> {
        Arc::clone(&self.copy.0.responder)
    }
}

impl<R, V> Clone for LayerHandle<R, V> {
    #[inline]
    fn clone(&self) -> Self {
        let copies = self.copies.as_ref();
        let copy = copies.and_then(|copies| copies.of_this_thread());
        Self {
            copy: Arc::clone(copy.unwrap_or(&self.copy)),
            copies: None,
        }
    }
}
