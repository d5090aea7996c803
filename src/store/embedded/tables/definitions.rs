//! The names and types of the tables. They are part of the file format.

use redb::TableDefinition;

/// The format of the file, the number of commits, and the horizon.
pub(super) const METADATA: TableDefinition<'_, &str, &[u8]> =
    TableDefinition::new("tower-jwt-auth");
/// Sessions by ID.
pub(super) const SESSIONS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("sessions");
/// A second in which a session may have expired, and the ID of the session.
pub(super) const SESSIONS_BY_EXPIRY: TableDefinition<'_, [u8; 24], ()> =
    TableDefinition::new("sessions by expiry");
/// The key of a subject, and the ID of one of its sessions.
pub(super) const SESSIONS_BY_SUBJECT: TableDefinition<'_, &[u8], ()> =
    TableDefinition::new("sessions by subject");
/// Subjects that were ever blocked or logged out everywhere, or whose access tokens were ever
/// invalidated.
pub(super) const SUBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("subjects");
/// The second in which a revocation expires, and what it revokes.
pub(super) const REVOCATIONS: TableDefinition<'_, &[u8], &[u8]> =
    TableDefinition::new("revocations");
