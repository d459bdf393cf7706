//! What has to hold after every step: the queue and the reference agree, and something always goes on.

use amq_protocol::types::AMQPValue;
use leveret_persistence::{Message, MessageId};

use crate::protocol::properties::Properties;
use crate::queue::consumers::Delivery;

use super::super::reference::Known;
use super::World;

impl World {
    /// What has left the ready messages without being delivered.
    pub(super) fn notice_departures(&mut self) {
        let still: Vec<MessageId> = self.state.peek().into_iter().map(|(id, _)| id).collect();
        self.reference.departed(&still, self.state.counts(), self.now_ms);
    }

    /// Whatever is to be done is done, is being read, or comes about by itself later.
    pub(super) fn check_progress(&self) {
        let (reference, reads) = (&self.reference, self.read.is_some());
        let blocked = reference.is_dying_full();
        let turn = reference.turns.next().filter(|_| reference.any_deliverable(self.now_ms));
        assert!(turn.is_none() || reads || blocked, "a consumer and a message wait");
        assert!(!reference.is_too_long() || reads || blocked, "it is too long");
        if !reads && !blocked {
            assert_eq!(reference.expired_heads(self.now_ms), [] as [MessageId; 0]);
        }
        reference.check_timeouts(self.now_ms);
        let deadline = self.state.next_deadline();
        assert!(deadline.is_none_or(|deadline| deadline > self.now_ms), "it runs in a circle");
        assert!(!reference.is_to_move() || reads || deadline.is_some(), "nobody moves it");
        if let Some(due_ms) = reference.next_due() {
            assert!(deadline.is_some_and(|deadline| deadline <= due_ms), "nobody wakes it");
        }
    }

    pub(super) fn check_counts(&self) {
        let (state, reference) = (&self.state, &self.reference);
        assert_eq!(state.ready_count(), reference.ready_count());
        assert_eq!(state.unacked_count(), reference.unacked_count());
        assert_eq!(state.waiting().len(), reference.waiting_count());
        assert_eq!(state.dying.len(), reference.dying_count());
        assert_eq!(state.consumer_count(), reference.turns.ids().len());
        assert_eq!(state.delivered_to(), reference.delivered_to());
        assert_eq!(state.counts(), reference.counts);
        if self.rules.max_length_bytes.is_some() {
            assert_eq!(state.ready_body_bytes(), reference.ready_body_bytes());
        }
        let memory = reference.memory();
        assert!(state.memory() <= *memory.end(), "{} of {memory:?}", state.memory());
        assert!(!self.is_all_in_memory || state.memory() >= *memory.start());
    }

    pub(super) fn check(&self, delivery: &Delivery, (id, known): (MessageId, Known)) {
        assert_eq!((delivery.id, delivery.redelivered), (id, known.redelivered));
        check_body(id, known.body, &delivery.message);
        let properties = Properties::parse(delivery.message.properties()).unwrap();
        for (name, count, is_told) in [
            ("x-acquired-count", known.acquired, self.rules.counts_acquired),
            ("x-delivery-count", known.deliveries, true),
            ("x-retry-count", known.retries, true),
        ] {
            let expected = (is_told && count > 0).then(|| AMQPValue::LongLongInt(count.into()));
            assert_eq!(properties.header(name), expected, "{name} of {id}");
        }
    }
}

pub(super) fn check_body(id: MessageId, len: usize, found: &Message) {
    let body = found.body();
    let expected = id.to_be_bytes().into_iter().cycle().take(len);
    assert!(body.iter().copied().eq(expected), "the body of another message than {id}");
}
