//! The broker's exchanges, queues and consumers, behind one lock.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::TcpStream;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame};
use amq_protocol::protocol::{AMQPClass, basic};

use super::Faults;

/// A published message.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) header: AMQPContentHeader,
    pub(crate) body: Vec<u8>,
}

/// What becomes of a publish.
#[derive(PartialEq, Eq)]
pub(crate) enum Verdict {
    Taken,
    Refused,
    Returned,
    CloseConnection,
}

struct Consumer {
    stream: TcpStream,
    no_ack: bool,
    next_tag: u64,
    frame_max: usize,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    consumers: VecDeque<Consumer>,
}

pub(crate) struct State {
    pub(crate) faults: Faults,
    queues: BTreeMap<String, Queue>,
    /// (exchange, key, queue); key `None` where the type does not look at it.
    bindings: Vec<(String, Option<String>, String)>,
    /// Name to type.
    exchanges: BTreeMap<String, String>,
    published: u64,
    delivered: u64,
    acknowledged: u64,
}

impl State {
    pub(crate) fn new(faults: Faults) -> Self {
        Self {
            faults,
            queues: BTreeMap::new(),
            bindings: Vec::new(),
            exchanges: BTreeMap::new(),
            published: 0,
            delivered: 0,
            acknowledged: 0,
        }
    }

    pub(crate) fn declare(&mut self, queue: &str) {
        self.queues.entry(queue.to_owned()).or_default();
    }

    pub(crate) fn has_queue(&self, queue: &str) -> bool {
        self.queues.contains_key(queue)
    }

    pub(crate) fn delete(&mut self, queue: &str) -> u32 {
        self.bindings.retain(|(_, _, bound)| bound != queue);
        self.queues.remove(queue).map_or(0, |queue| u32::try_from(queue.messages.len()).unwrap())
    }

    pub(crate) fn declare_exchange(&mut self, name: &str, kind: &str) {
        self.exchanges.insert(name.to_owned(), kind.to_owned());
    }

    pub(crate) fn has_exchange(&self, name: &str) -> bool {
        self.exchanges.contains_key(name)
    }

    pub(crate) fn delete_exchange(&mut self, name: &str) {
        self.exchanges.remove(name);
    }

    pub(crate) fn bind(&mut self, exchange: &str, key: &str, queue: &str) {
        let by_key = matches!(self.exchanges[exchange].as_str(), "direct" | "topic");
        let key = by_key.then(|| key.to_owned());
        self.bindings.push((exchange.to_owned(), key, queue.to_owned()));
    }

    pub(crate) fn queues(&self) -> Vec<(String, usize)> {
        let count = |(name, queue): (&String, &Queue)| (name.clone(), queue.messages.len());
        self.queues.iter().map(count).collect()
    }

    pub(crate) fn acknowledged(&self) -> (u64, u64) {
        (self.delivered, self.acknowledged)
    }

    pub(crate) fn acknowledge(&mut self, count: u64) {
        self.acknowledged += count;
    }

    pub(crate) fn consume(
        &mut self,
        queue: &str,
        no_ack: bool,
        stream: TcpStream,
        frame_max: usize,
    ) {
        let consumer = Consumer { stream, no_ack, next_tag: 1, frame_max };
        self.queues.get_mut(queue).unwrap().consumers.push_back(consumer);
        self.deliver(queue);
    }

    pub(crate) fn publish(&mut self, publish: &basic::Publish, message: &Message) -> Verdict {
        self.published += 1;
        let number = self.published;
        let hit = |every: Option<u64>| every.is_some_and(|every| number.is_multiple_of(every));
        let faults = self.faults;
        if faults.close_at == Some(number) {
            return Verdict::CloseConnection;
        }
        if hit(faults.refuse_every) {
            return Verdict::Refused;
        }
        if hit(faults.return_every) {
            return Verdict::Returned;
        }
        if hit(faults.lose_every) {
            return Verdict::Taken;
        }
        let key = publish.routing_key.as_str();
        for queue in self.route(publish.exchange.as_str(), key) {
            let Some(messages) = self.queues.get_mut(&queue).map(|queue| &mut queue.messages)
            else {
                continue;
            };
            messages.push_back(message.clone());
            if hit(faults.double_every) {
                messages.push_back(message.clone());
            }
            // Held back until the next one has come, which then goes before it.
            if faults.swap_every.is_some_and(|every| (number + 1).is_multiple_of(every)) {
                continue;
            }
            if hit(faults.swap_every) {
                let last = messages.len() - 1;
                messages.swap(last - 1, last);
            }
            if faults.cancel_at == Some(number) {
                self.cancel(&queue);
            }
            self.deliver(&queue);
        }
        Verdict::Taken
    }

    fn route(&self, exchange: &str, key: &str) -> Vec<String> {
        if exchange.is_empty() {
            return vec![key.to_owned()];
        }
        let matches = |bound: &Option<String>| bound.as_deref().is_none_or(|bound| bound == key);
        let bindings = self.bindings.iter();
        bindings
            .filter(|(from, bound, _)| from == exchange && matches(bound))
            .map(|(_, _, queue)| queue.clone())
            .collect()
    }

    /// Hands everything ready to the queue's consumers in turn. Prefetch is not looked at.
    fn deliver(&mut self, queue: &str) {
        let Some(queue) = self.queues.get_mut(queue) else {
            return;
        };
        while !queue.messages.is_empty() {
            let Some(mut consumer) = queue.consumers.pop_front() else {
                return;
            };
            let message = queue.messages.pop_front().unwrap();
            if !consumer.no_ack {
                self.delivered += 1;
            }
            let deliver = basic::Deliver {
                consumer_tag: "perf".into(),
                delivery_tag: consumer.next_tag,
                redelivered: false,
                exchange: "".into(),
                routing_key: "key".into(),
            };
            consumer.next_tag += 1;
            let method = basic::AMQPMethod::Deliver(deliver);
            let bytes = with_content(method, &message, consumer.frame_max);
            if consumer.stream.write_all(&bytes).is_ok() {
                queue.consumers.push_back(consumer);
            }
        }
    }

    fn cancel(&mut self, queue: &str) {
        let consumer = self.queues.get_mut(queue).and_then(|queue| queue.consumers.pop_front());
        let cancel = basic::Cancel { consumer_tag: "perf".into(), nowait: true };
        let method = AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel));
        let bytes = encode(&AMQPFrame::Method(1, method));
        consumer.unwrap().stream.write_all(&bytes).unwrap();
    }
}

/// The frames of a message.
pub(crate) fn with_content(
    method: basic::AMQPMethod,
    message: &Message,
    frame_max: usize,
) -> Vec<u8> {
    let mut bytes = encode(&AMQPFrame::Method(1, AMQPClass::Basic(method)));
    bytes.extend(encode(&AMQPFrame::Header(1, message.header.clone())));
    for part in message.body.chunks(frame_max - 8) {
        bytes.extend(encode(&AMQPFrame::Body(1, part.to_vec())));
    }
    bytes
}

pub(crate) fn encode(frame: &AMQPFrame) -> Vec<u8> {
    gen_frame(frame)(WriteContext::from(Vec::new())).unwrap().into_inner().0
}
