//! Who may do what: users, their passwords, and their permissions per vhost. The table of all users is one of the
//! [`definitions`](crate::definitions); here is what a user is, how it logs in, and how a connection asks what it may do.

pub(crate) mod login;
pub(crate) mod password;
pub(crate) mod pattern;
pub(crate) mod permissions;
pub(crate) mod sasl;
pub(crate) mod user;
pub(crate) mod user_access;
mod verified;

/// The user that exists on a new data directory, with its password; it may log in from this machine only.
pub(crate) const DEFAULT_USER: &str = "guest";
