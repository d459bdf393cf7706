//! The user who is asking, and what its tags allow. A handler says in its signature what it needs: any [`Caller`], a
//! [`Policymaker`] or an [`Administrator`].
//!
//! Tags are as in RabbitMQ: `administrator` is all of the others, `policymaker` and `monitoring` are `management` and more.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::Shared;
use crate::error::ApiError;
use crate::management::Who;

/// A user who may use the API at all.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Arc<Who>);

/// The vhosts that a user may see.
#[derive(Debug)]
pub(crate) enum Visible {
    All,
    Only(BTreeSet<String>),
}

impl Visible {
    pub(crate) fn contains(&self, vhost: &str) -> bool {
        match self {
            Visible::All => true,
            Visible::Only(names) => names.contains(vhost),
        }
    }
}

impl Caller {
    /// Refuses a user without a tag of this API.
    pub(crate) fn new(who: Arc<Who>) -> Result<Caller, ApiError> {
        let caller = Caller(who);
        let known = ["management", "policymaker", "monitoring", "administrator"];
        match known.iter().any(|tag| caller.has(tag)) {
            true => Ok(caller),
            false => Err(ApiError::not_authorised("Not management user")),
        }
    }

    pub(crate) fn who(&self) -> &Who {
        &self.0
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// May see all of the node, though not change it.
    pub(crate) fn is_monitor(&self) -> bool {
        self.is_administrator() || self.has("monitoring")
    }

    pub(crate) fn is_administrator(&self) -> bool {
        self.has("administrator")
    }

    fn is_policymaker(&self) -> bool {
        self.is_administrator() || self.has("policymaker")
    }

    fn has(&self, tag: &str) -> bool {
        self.0.tags.iter().any(|own| own == tag)
    }

    /// The vhosts whose queues, exchanges, bindings and policies it may see: an administrator all, anyone else those in which it
    /// has permissions.
    pub(crate) async fn vhosts(&self, api: &Shared) -> Visible {
        match self.is_administrator() {
            true => Visible::All,
            false => Visible::Only(api.management.accessible_vhosts(self.name()).await),
        }
    }

    /// The vhosts that it may know to exist, with their totals and limits: a monitor's are all.
    pub(crate) async fn known_vhosts(&self, api: &Shared) -> Visible {
        match self.is_monitor() {
            true => Visible::All,
            false => self.vhosts(api).await,
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Caller, ApiError> {
        // `auth` has put it there, or the request would not have come this far.
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| ApiError::not_authorized("Not_Authorized"))
    }
}

/// A caller with the tag `policymaker`.
pub(crate) struct Policymaker;

impl FromRequestParts<Shared> for Policymaker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Policymaker, ApiError> {
        match Caller::from_request_parts(parts, api).await?.is_policymaker() {
            true => Ok(Policymaker),
            false => Err(ApiError::not_authorised("User not authorised to access object")),
        }
    }
}

/// A caller with the tag `administrator`.
pub(crate) struct Administrator(pub(crate) Caller);

impl FromRequestParts<Shared> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        api: &Shared,
    ) -> Result<Administrator, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        match caller.is_administrator() {
            true => Ok(Administrator(caller)),
            false => Err(ApiError::not_authorised("Not administrator user")),
        }
    }
}
