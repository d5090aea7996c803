//! Names that are configured.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A list of configured names. An error shares it.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Vec<Box<str>>>);

impl Names {
    /// More names do not fit into a line of a log.
    pub(super) const MAX_SHOWN: usize = 8;

    pub(super) fn push(&mut self, name: Box<str>) {
        Arc::make_mut(&mut self.0).push(name);
    }
}

impl Deref for Names {
    type Target = [Box<str>];

    #[inline]
    fn deref(&self) -> &[Box<str>] {
        &self.0
    }
}

impl FromIterator<Box<str>> for Names {
    fn from_iter<I: IntoIterator<Item = Box<str>>>(names: I) -> Self {
        Self(Arc::new(names.into_iter().collect()))
    }
}

/// The first names in quotes: `"a" or "b"`.
impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.iter().take(Self::MAX_SHOWN).enumerate() {
            let or = if index == 0 { "" } else { " or " };
            write!(f, "{or}{name:?}")?;
        }
        if self.len() > Self::MAX_SHOWN {
            f.write_str(" or others")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
