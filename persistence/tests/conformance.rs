//! What every backend promises. A new backend adds one line at the end.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests, called by tests"
)]

mod support;

use std::collections::BTreeMap;

use leveret_persistence::{
    Change, Definitions, Message, NextIds, Progress, Publish, QueueId, Scanned, Stamp,
};
use support::definitions::{every_kind_of_definition, puts};
use support::{
    Backend, backlog, clean_up, commit, declare, forget, message, page_out, progress, progressed,
    publish, put_progress, readable, remember, remembered, settle, stamp,
};

fn a_new_store_is_empty_and_clean(backend: &dyn Backend) {
    let (_store, recovered) = backend.open();
    assert_eq!(recovered.definitions, Definitions::default());
    assert!(recovered.backlog.is_empty());
    assert_eq!(recovered.next, NextIds::default());
}

fn only_a_closed_store_was_stopped_cleanly(backend: &dyn Backend) {
    let (store, _) = backend.open();
    store.close(NextIds { message: 70, queue: QueueId(8) }).unwrap();
    let (store, recovered) = backend.open();
    assert!(recovered.clean);
    assert_eq!(recovered.next, NextIds { message: 70, queue: QueueId(8) });
    drop(store);
    let (_store, recovered) = backend.open();
    assert!(!recovered.clean);
    assert_eq!(recovered.next, NextIds { message: 70, queue: QueueId(8) });
}

fn ids_that_were_stored_are_not_given_out_again_after_a_crash(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[6]);
    commit(&mut *store, vec![publish(5000, &[6])], vec![]);
    // Not even when nothing is left of them.
    commit(&mut *store, vec![], vec![settle(6, 5000..=5000), Change::DeleteQueue(QueueId(6))]);
    clean_up(&mut *store);
    drop(store);
    let (_store, recovered) = backend.open();
    assert!(recovered.next.message > 5000);
    assert!(recovered.next.queue > QueueId(6));
}

fn definitions_come_back_as_they_were_put(backend: &dyn Backend) {
    let definitions = every_kind_of_definition();
    let (mut store, _) = backend.open();
    commit(&mut *store, vec![], puts(&definitions));
    // Putting again replaces.
    commit(&mut *store, vec![], puts(&definitions));
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(recovered.definitions, definitions);
}

fn a_put_record_replaces_the_one_with_its_key(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    commit(&mut *store, vec![], puts(&every_kind_of_definition()));
    let mut changed = every_kind_of_definition();
    changed.users[0].password_hash = "other".to_owned();
    changed.permissions[0].read = "^$".to_owned();
    changed.vhosts[0].description = String::new();
    changed.topic_permissions[0].write = "^$".to_owned();
    changed.parameters[0].value = "{}".to_owned();
    changed.parameters[0].updated_ms += 1;
    changed.global_parameters[0].value = "1".to_owned();
    changed.exchanges[0].arguments = "{}".to_owned();
    changed.queues[0].arguments = "{}".to_owned();
    let delivered = Change::DeliveredTo { queue: QueueId(1), id: 77 };
    let unknown = Change::DeliveredTo { queue: QueueId(99), id: 78 };
    let mut changes = puts(&changed);
    changes.extend([delivered, unknown]);
    commit(&mut *store, vec![], changes);
    changed.queues[0].delivered_to = 77;
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(recovered.definitions, changed);
}

fn deleted_definitions_are_gone_and_no_others(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    commit(&mut *store, vec![], puts(&every_kind_of_definition()));
    let Definitions { bindings, .. } = every_kind_of_definition();
    let text = str::to_owned;
    let deletes = vec![
        Change::DeleteVhost { name: text("/") },
        Change::DeleteUser { name: text("guest") },
        Change::DeletePermission { user: text("guest"), vhost: text("/") },
        Change::DeleteTopicPermission {
            user: text("guest"),
            vhost: text("/"),
            exchange: text("audit"),
        },
        Change::DeleteParameter {
            vhost: text("/"),
            component: text("operator_policy"),
            name: text("short"),
        },
        Change::DeleteGlobalParameter { name: text("cluster_name") },
        Change::DeleteExchange { vhost: text("/"), name: text("orders") },
        Change::DeleteQueue(QueueId(1)),
        Change::DeleteBinding(bindings[0].clone()),
    ];
    commit(&mut *store, vec![], deletes.clone());
    // Deleting what is not there does nothing.
    commit(&mut *store, vec![], deletes);
    drop(store);
    let (_store, recovered) = backend.open();
    let mut left = every_kind_of_definition();
    left.vhosts.remove(0);
    left.users.remove(0);
    left.permissions.remove(0);
    left.topic_permissions.remove(0);
    left.parameters.remove(0);
    left.global_parameters.remove(0);
    left.exchanges.remove(0);
    left.queues.remove(0);
    left.bindings.remove(0);
    assert_eq!(recovered.definitions, left);
}

fn messages_come_back_whole_and_in_all_their_queues(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    let publishes = vec![publish(3, &[1]), publish(1, &[1, 2]), publish(2, &[2])];
    commit(&mut *store, publishes, vec![]);
    assert_eq!(readable(&*store, &[1, 2, 3]), [1, 2, 3]);
    drop(store);
    let (store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, vec![1, 3]), (2, vec![1, 2])]));
    assert_eq!(readable(&*store, &[1, 2, 3]), [1, 2, 3]);
}

fn settled_entries_stay_settled(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    commit(&mut *store, (1..=6).map(|id| publish(id, &[1, 2])).collect(), vec![]);
    // The range covers ids that the queue does not hold.
    commit(&mut *store, vec![], vec![settle(1, 2..=3), settle(1, 6..=5000), settle(2, 0..=5)]);
    drop(store);
    let (store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, vec![1, 4, 5]), (2, vec![6])]));
    assert_eq!(readable(&*store, &[1, 4, 5, 6]), [1, 4, 5, 6]);
}

fn a_late_publish_outlives_an_earlier_settle_of_the_ids_around_it(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    commit(&mut *store, vec![publish(10, &[1]), publish(12, &[1])], vec![]);
    commit(&mut *store, vec![], vec![settle(1, 10..=12)]);
    commit(&mut *store, vec![publish(11, &[1]), publish(90_000, &[1])], vec![]);
    commit(&mut *store, vec![publish(13, &[1])], vec![]);
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, vec![11, 13, 90_000])]));
}

fn a_move_between_queues_is_one_commit(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    commit(&mut *store, vec![publish(1, &[1])], vec![]);
    commit(&mut *store, vec![publish(2, &[2])], vec![settle(1, 1..=1)]);
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(2, vec![2])]));
}

fn a_deleted_queue_takes_its_entries_along(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    commit(&mut *store, vec![publish(1, &[1]), publish(2, &[1, 2])], vec![]);
    let delete = Change::DeleteQueue(QueueId(1));
    commit(&mut *store, vec![publish(3, &[1, 2])], vec![delete]);
    drop(store);
    let (store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(2, vec![2, 3])]));
    assert_eq!(readable(&*store, &[2, 3]), [2, 3]);
}

fn entries_of_a_queue_without_a_record_are_forgotten_on_restart(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    commit(&mut *store, vec![publish(1, &[1, 9]), publish(2, &[9])], vec![]);
    drop(store);
    let (store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, vec![1])]));
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, vec![1])]));
}

fn progress_comes_back_with_the_messages(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    let publishes = [1, 2, 5_000].map(|id| publish(id, &[1, 2])).into();
    commit(&mut *store, publishes, vec![put_progress(1, [5_000, 1])]);
    let other = Progress { id: 5_000, deliveries: u32::MAX, retries: 7, due_ms: 0 };
    let put = Change::PutProgress { queue: QueueId(2), progress: vec![progress(5_000), other] };
    commit(&mut *store, vec![], vec![put]);
    drop(store);
    let (_store, recovered) = backend.open();
    let expected = [(1, vec![progress(1), progress(5_000)]), (2, vec![other])];
    let expected = expected.map(|(queue, progress)| (QueueId(queue), progress));
    assert_eq!(recovered.progress, expected.into());
}

fn progress_of_what_is_not_held_is_ignored(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    commit(&mut *store, vec![publish(1, &[1, 2]), publish(2, &[1]), page_out(3, &[1])], vec![]);
    // One that the same commit settles, whether it was written or not.
    let changes = vec![settle(1, 4..=4), put_progress(1, [4]), put_progress(2, [4])];
    commit(&mut *store, vec![publish(4, &[1])], changes);
    commit(&mut *store, vec![], vec![settle(1, 1..=1), put_progress(1, [0, 1, 2, 3, 4, 5, 9_000])]);
    commit(&mut *store, vec![publish(5, &[1])], vec![]);
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, vec![2, 5]), (2, vec![1])]));
    assert_eq!(progressed(&recovered), BTreeMap::from([(1, vec![2])]));
}

fn progress_goes_with_its_entry(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2, 3]);
    commit(&mut *store, (1..=6).map(|id| publish(id, &[1, 2, 3])).collect(), vec![]);
    let puts = vec![put_progress(1, 1..=6), put_progress(2, 1..=6), put_progress(3, 1..=6)];
    commit(&mut *store, vec![], puts);
    commit(&mut *store, vec![], vec![settle(1, 2..=6), Change::DeleteQueue(QueueId(3))]);
    // In one commit, in either order.
    let changes = vec![put_progress(2, [6]), settle(2, 5..=6), put_progress(2, [5])];
    commit(&mut *store, vec![], changes);
    let expected = BTreeMap::from([(1, vec![1]), (2, vec![1, 2, 3, 4])]);
    for cleaned in [false, true] {
        drop(store);
        let recovered;
        (store, recovered) = backend.open();
        assert_eq!(progressed(&recovered), expected, "cleaned: {cleaned}");
        clean_up(&mut *store);
    }
}

fn remembered_keys_come_back_in_the_order_in_which_they_were_put(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    let changes = vec![remember("a", &[("z", 5), ("y", 0)]), remember("b", &[("y", 7)])];
    commit(&mut *store, vec![], changes);
    commit(&mut *store, vec![], vec![remember("a", &[("x", 6), ("z", 9), ("", 1)])]);
    let mut expected = vec![("y", 0), ("x", 6), ("z", 9), ("", 1)];
    drop(store);
    let (mut store, recovered) = backend.open();
    assert_eq!(remembered(&recovered), [("a", expected.clone()), ("b", vec![("y", 7)])].into());
    // What is put after a restart is newer than what was there.
    commit(&mut *store, vec![], vec![remember("a", &[("w", 2), ("y", 3)])]);
    expected.remove(0);
    expected.extend([("w", 2), ("y", 3)]);
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(remembered(&recovered), [("a", expected), ("b", vec![("y", 7)])].into());
}

fn forgotten_keys_are_gone_and_no_others(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    let keys = [("x", 1), ("y", 2), ("z", 3)];
    commit(&mut *store, vec![], ["a", "b", "c"].map(|owner| remember(owner, &keys)).into());
    let forgets = vec![
        forget("a", &["y", "unknown"]),
        forget("unknown", &["y"]),
        Change::ForgetOwner { owner: "b".to_owned() },
        Change::ForgetOwner { owner: "unknown".to_owned() },
        // In one commit the order counts.
        Change::ForgetOwner { owner: "c".to_owned() },
        remember("c", &[("y", 4)]),
    ];
    commit(&mut *store, vec![], forgets);
    drop(store);
    let (_store, recovered) = backend.open();
    let expected = [("a", vec![("x", 1), ("z", 3)]), ("c", vec![("y", 4)])];
    assert_eq!(remembered(&recovered), expected.into());
}

fn paged_out_messages_can_be_read_and_are_forgotten_on_restart(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    commit(&mut *store, vec![publish(1, &[1]), page_out(2, &[7]), publish(3, &[1])], vec![]);
    assert_eq!(readable(&*store, &[1, 2, 3]), [1, 2, 3]);
    store.close(NextIds { message: 4, queue: QueueId(8) }).unwrap();
    let (store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, vec![1, 3])]));
    assert_eq!(readable(&*store, &[1, 2, 3]), [1, 3]);
}

fn a_message_can_be_paged_out_again(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    commit(&mut *store, vec![page_out(1, &[7]), page_out(2, &[7])], vec![]);
    // By another of its queues, and by the same one after reading it back.
    commit(&mut *store, vec![page_out(1, &[8])], vec![settle(7, 2..=2)]);
    clean_up(&mut *store);
    commit(&mut *store, vec![page_out(2, &[7])], vec![settle(7, 1..=1)]);
    clean_up(&mut *store);
    assert_eq!(readable(&*store, &[1, 2]), [1, 2]);
}

fn ids_that_are_not_stored_are_left_out(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    let stored = [1, 2, 3, 9, 10, 500, 1023, 1024, 1025, 40_000];
    commit(&mut *store, stored.iter().map(|id| publish(*id, &[1])).collect(), vec![]);
    assert_eq!(readable(&*store, &[]), []);
    assert_eq!(readable(&*store, &[0, 4, 8, 600]), []);
    assert_eq!(readable(&*store, &[1, 3, 4, 10, 1024, 40_000, 40_001]), [1, 3, 10, 1024, 40_000]);
    assert_eq!(readable(&*store, &stored), stored);
}

fn cleaning_up_changes_nothing_that_can_be_seen(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1, 2]);
    // Several blocks of ids, so that some are full, some dead, and some nearly so.
    for first in (1..20_000).step_by(500) {
        let publishes =
            (first..first + 500).map(|id| publish(id, &[1 + u32::from(id.is_multiple_of(7))]));
        commit(&mut *store, publishes.collect(), vec![settle(1, first..=first + 450)]);
    }
    clean_up(&mut *store);
    let is_held = |id: &u64| id.is_multiple_of(7) || id.is_multiple_of(500) || id % 500 > 451;
    let held: Vec<u64> = (1..=20_000).filter(is_held).collect();
    let (twos, ones): (Vec<u64>, Vec<u64>) = held.iter().partition(|id| id.is_multiple_of(7));
    drop(store);
    let (mut store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(1, ones), (2, twos)]));
    assert_eq!(readable(&*store, &held), held);
    commit(&mut *store, vec![], vec![settle(1, 0..=30_000), settle(2, 8..=30_000)]);
    clean_up(&mut *store);
    assert_eq!(readable(&*store, &[7]), [7]);
    drop(store);
    let (_store, recovered) = backend.open();
    assert_eq!(backlog(&recovered), BTreeMap::from([(2, vec![7])]));
}

fn a_read_stops_when_it_has_enough(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    commit(&mut *store, (1..=3).map(|id| publish(id, &[1])).collect(), vec![]);
    let mut reader = store.reader().unwrap();
    let found = reader.read(&[1, 2, 3], 1).unwrap();
    assert_eq!((found.messages.len(), found.stopped_at), (1, Some(1)));
    let found = reader.read(&[2, 3], usize::MAX).unwrap();
    assert_eq!((found.messages.len(), found.stopped_at), (2, None));
}

fn a_scan_finds_what_a_read_finds_without_the_bodies(backend: &dyn Backend) {
    let (mut store, _) = backend.open();
    declare(&mut *store, &[1]);
    let publishes = [1, 2, 3, 50, 700, 40_000].map(|id| match id {
        2 | 40_000 => page_out(id, &[1]),
        700 => Publish { message: Message::new(b"", b"q", b"", b""), ..publish(id, &[1]) },
        _ => publish(id, &[1]),
    });
    commit(&mut *store, publishes.into(), vec![settle(1, 3..=3)]);
    let mut reader = store.reader().unwrap();
    let scanned = |id| Scanned {
        id,
        stamp: stamp(id),
        properties: message(id).properties().to_vec(),
        body_len: message(id).body().len() as u64,
    };
    let bare = Scanned { id: 700, stamp: Stamp::default(), properties: vec![], body_len: 0 };
    let expected = [scanned(1), scanned(2), bare, scanned(40_000)];
    assert_eq!(reader.scan(&[0, 1, 2, 4, 700, 40_000, 40_001]).unwrap(), expected);
    assert_eq!(reader.scan(&[2, 40_000]).unwrap(), [scanned(2), scanned(40_000)]);
    assert_eq!(reader.scan(&[]).unwrap(), []);
    assert_eq!(reader.scan(&[5, 9_000]).unwrap(), []);
}

/// The tests above as tests of one backend.
macro_rules! conformance {
    ($backend:ident, $make:expr, [$($test:ident),* $(,)?]) => {
        mod $backend {
            $(
                #[test]
                fn $test() {
                    super::$test(&$make);
                }
            )*
        }
    };
    ($($backend:ident => $make:expr;)*) => {
        $(
            conformance!($backend, $make, [
                a_new_store_is_empty_and_clean,
                only_a_closed_store_was_stopped_cleanly,
                ids_that_were_stored_are_not_given_out_again_after_a_crash,
                definitions_come_back_as_they_were_put,
                a_put_record_replaces_the_one_with_its_key,
                deleted_definitions_are_gone_and_no_others,
                messages_come_back_whole_and_in_all_their_queues,
                settled_entries_stay_settled,
                a_late_publish_outlives_an_earlier_settle_of_the_ids_around_it,
                a_move_between_queues_is_one_commit,
                a_deleted_queue_takes_its_entries_along,
                entries_of_a_queue_without_a_record_are_forgotten_on_restart,
                progress_comes_back_with_the_messages,
                progress_of_what_is_not_held_is_ignored,
                progress_goes_with_its_entry,
                remembered_keys_come_back_in_the_order_in_which_they_were_put,
                forgotten_keys_are_gone_and_no_others,
                paged_out_messages_can_be_read_and_are_forgotten_on_restart,
                a_message_can_be_paged_out_again,
                ids_that_are_not_stored_are_left_out,
                a_read_stops_when_it_has_enough,
                a_scan_finds_what_a_read_finds_without_the_bodies,
                cleaning_up_changes_nothing_that_can_be_seen,
            ]);
        )*
    };
}

conformance! {
    sqlite => crate::support::Sqlite::new();
    memory => crate::support::Memory::default();
}
