//! Exchanges.

use async_trait::async_trait;
use leveret_admin_ui::management::{
    Error, ExchangeDeclaration, ExchangeView, Exchanges, Object, Publication, Put,
};
use leveret_routing::Exchange;

use super::{Managed, arguments, fault};
use crate::access::permissions::Right;
use crate::vhost::exchanges::ExchangeDeclare;
use crate::vhost::refusals::Resource;
use crate::vhost::{Topology, Vhost};

#[async_trait]
impl Exchanges for Managed {
    async fn exchanges(&self, vhost: Option<&str>) -> Result<Vec<ExchangeView>, Error> {
        let mut views = Vec::new();
        for vhost in self.vhosts_of(vhost)? {
            let topology = vhost.topology();
            views.extend(
                topology.graph.exchanges().map(|exchange| view(&vhost, &topology, exchange)),
            );
        }
        Ok(views)
    }

    async fn exchange(&self, vhost: &str, name: &str) -> Result<ExchangeView, Error> {
        let vhost = self.vhost_of(vhost)?;
        let topology = vhost.topology();
        topology
            .graph
            .exchange(name)
            .map(|found| view(&vhost, &topology, found))
            .ok_or(Error::NotFound)
    }

    async fn put_exchange(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        declaration: ExchangeDeclaration,
    ) -> Result<Put, Error> {
        let ExchangeDeclaration { exchange_type, durable, auto_delete, internal, arguments } =
            declaration;
        let vhost = self.vhost_of(vhost)?;
        let access = self.access_of(by, &vhost)?;
        access.check(Right::Configure, Resource::Exchange(name))?;
        if let Some(alternate) = arguments.get("alternate-exchange").and_then(|x| x.as_str()) {
            access.check(Right::Read, Resource::Exchange(name))?;
            access.check(Right::Write, Resource::Exchange(alternate))?;
        }
        let arguments = arguments::from_json(&arguments)?;
        let is_new = vhost.topology().graph.exchange(name).is_none();
        let declared = vhost.declare_exchange(ExchangeDeclare {
            name,
            kind: &exchange_type,
            durable,
            auto_delete,
            internal,
            arguments,
        });
        vhost.written(declared.map_err(fault)?).await.map_err(fault)?;
        Ok(if is_new { Put::Created } else { Put::Updated })
    }

    async fn delete_exchange(
        &self,
        by: &str,
        vhost: &str,
        name: &str,
        if_unused: bool,
    ) -> Result<(), Error> {
        let vhost = self.vhost_of(vhost)?;
        self.access_of(by, &vhost)?.check(Right::Configure, Resource::Exchange(name))?;
        if vhost.topology().graph.exchange(name).is_none() {
            return Err(Error::NotFound);
        }
        let deleted = vhost.delete_exchange(name, if_unused).map_err(fault)?;
        vhost.written(deleted).await.map_err(fault)
    }

    async fn publish(
        &self,
        by: &str,
        vhost: &str,
        exchange: &str,
        publication: Publication,
    ) -> Result<bool, Error> {
        let vhost = self.vhost_of(vhost)?;
        self.publish_to(by, &vhost, exchange, publication).await
    }
}

fn view(vhost: &Vhost, topology: &Topology, exchange: &Exchange) -> ExchangeView {
    let policy = topology.policies.for_exchange(&exchange.name);
    ExchangeView {
        vhost: vhost.name.to_string(),
        name: exchange.name.to_string(),
        exchange_type: exchange.kind.as_str().to_owned(),
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: arguments::to_json(&exchange.arguments),
        policy: policy.policy.as_deref().map(str::to_owned),
        extra: Object::new(),
    }
}
