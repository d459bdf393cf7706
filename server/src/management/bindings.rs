//! Bindings.

use async_trait::async_trait;
use leveret_admin_ui::management::{BindingView, Bindings, DestinationType, Error, Object};
use leveret_routing::{Binding, Destination};

use super::{Managed, arguments};

#[async_trait]
impl Bindings for Managed {
    async fn bindings(&self, vhost: Option<&str>) -> Result<Vec<BindingView>, Error> {
        let mut views = Vec::new();
        for vhost in self.vhosts_of(vhost)? {
            let topology = vhost.topology();
            views.extend(topology.queues.keys().map(|queue| by_name(&vhost.name, queue)));
            views.extend(topology.graph.bindings().map(|binding| view(&vhost.name, binding)));
        }
        Ok(views)
    }
}

/// The binding that every queue has with the default exchange.
fn by_name(vhost: &str, queue: &str) -> BindingView {
    BindingView {
        vhost: vhost.to_owned(),
        source: String::new(),
        destination_type: DestinationType::Queue,
        destination: queue.to_owned(),
        routing_key: queue.to_owned(),
        arguments: Object::new(),
    }
}

fn view(vhost: &str, binding: &Binding) -> BindingView {
    let (destination_type, destination) = match &binding.destination {
        Destination::Queue(name) => (DestinationType::Queue, name),
        Destination::Exchange(name) => (DestinationType::Exchange, name),
    };
    BindingView {
        vhost: vhost.to_owned(),
        source: binding.source.to_string(),
        destination_type,
        destination: destination.to_string(),
        routing_key: binding.routing_key.to_string(),
        arguments: arguments::to_json(&binding.arguments),
    }
}
