//! The rows of the tables, as bytes.

pub(super) mod encoding;
pub(super) mod revocation;
pub(super) mod session;
pub(super) mod subject;
#[cfg(test)]
mod tests;
