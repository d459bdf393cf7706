//! One commit as a record of the journal: its messages and what goes with them, as bytes. Written
//! for every commit, read after a crash.
//!
//! A record is a header and a body, little-endian, filled up with zeros to whole disk blocks:
//!
//! ```text
//! epoch u64 | position u64 | body bytes u32 | CRC-32 of all of this and the body u32 | body
//! ```
//!
//! The body is a list of items, each a tag and its fields, the publishes first. What a record can
//! not carry (definitions, which are rare) is written to the tables at once.

use bytes::Bytes;

use crate::change::{Change, Publish, Queues};
use crate::ids::{MessageId, QueueId};
use crate::message::Message;
use crate::progress::Progress;
use crate::remembered::RememberedKey;
use crate::stamp::Stamp;

/// What a record is padded to: a block of the disk is written whole and never again while what is
/// in it counts, so a torn write cannot reach an earlier record.
pub(super) const BLOCK_BYTES: usize = 4_096;
/// Bytes before the body.
pub(super) const HEADER_BYTES: usize = 24;
/// Where in the header the checksum begins.
const CRC_AT: usize = 20;

const PUBLISH: u8 = 1;
const SETTLE: u8 = 2;
const PUT_PROGRESS: u8 = 3;
const REMEMBER: u8 = 4;
const FORGET: u8 = 5;

/// Where a record belongs: tells it from what an earlier run or an earlier turn left there.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// The run of the broker that wrote it, a random number.
    pub(super) epoch: u64,
    /// Bytes that this run wrote before it.
    pub(super) position: u64,
}

/// A record, and the publishes in it.
pub(super) struct Record {
    /// All of its bytes, whole blocks.
    pub(super) bytes: Bytes,
    /// What was to be published, now as slices of `bytes`: whoever keeps them keeps no read buffer.
    pub(super) publishes: Vec<Publish>,
}

/// Writes a commit as a record; `None` if it is one that goes to the tables at once, because of
/// its kind or because it is longer than `bytes_max`.
pub(super) fn encode(
    place: Place,
    publishes: &[Publish],
    changes: &[Change],
    bytes_max: usize,
) -> Option<Record> {
    let size = HEADER_BYTES
        + publishes.iter().map(publish_bytes).sum::<usize>()
        + changes.iter().map(change_bytes).try_fold(0, |sum, bytes| Some(sum + bytes?))?;
    let size = size.next_multiple_of(BLOCK_BYTES);
    if size > bytes_max {
        return None;
    }
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&place.epoch.to_le_bytes());
    out.extend_from_slice(&place.position.to_le_bytes());
    out.resize(HEADER_BYTES, 0);
    let mut starts = Vec::with_capacity(publishes.len());
    for publish in publishes {
        starts.push(put_publish(&mut out, publish)?);
    }
    for change in changes {
        put_change(&mut out, change)?;
    }
    let body_len = u32::try_from(out.len() - HEADER_BYTES).ok()?;
    out.get_mut(16..CRC_AT)?.copy_from_slice(&body_len.to_le_bytes());
    let crc = checksum(&out)?;
    out.get_mut(CRC_AT..HEADER_BYTES)?.copy_from_slice(&crc.to_le_bytes());
    out.resize(size, 0);
    let bytes = Bytes::from(out);
    let moved = |(publish, start): (&Publish, usize)| {
        let message = publish.message.moved_to(bytes.clone(), start)?;
        Some(Publish { message, queues: publish.queues.clone(), ..*publish })
    };
    let publishes = publishes.iter().zip(starts).map(moved).collect::<Option<_>>()?;
    Some(Record { bytes, publishes })
}

/// How long the record is whose first bytes these are, padding included; `None` if it is not one
/// that belongs here.
pub(super) fn record_len(start: &[u8], place: Place) -> Option<usize> {
    let mut fields = Fields(start);
    let found = Place { epoch: fields.u64()?, position: fields.u64()? };
    let body_len = fields.len()?;
    (found == place).then(|| (HEADER_BYTES + body_len).next_multiple_of(BLOCK_BYTES))
}

/// Whether all of a record is there.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let whole = || {
        let mut fields = Fields(bytes.get(16..)?);
        let body_len = fields.len()?;
        let crc = fields.u32()?;
        Some(checksum(bytes.get(..HEADER_BYTES + body_len)?)? == crc)
    };
    whole() == Some(true)
}

/// What a whole record says; `None` if it is not what [`encode`] writes.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<Publish>, Vec<Change>)> {
    let body_len = Fields(bytes.get(16..)?).len()?;
    let mut fields = Fields(bytes.get(HEADER_BYTES..HEADER_BYTES + body_len)?);
    let (mut publishes, mut changes) = (Vec::new(), Vec::new());
    while !fields.0.is_empty() {
        match fields.u8()? {
            PUBLISH => publishes.push(take_publish(&mut fields)?),
            tag => changes.push(take_change(tag, &mut fields)?),
        }
    }
    Some((publishes, changes))
}

fn checksum(record: &[u8]) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(record.get(..CRC_AT)?);
    hasher.update(record.get(HEADER_BYTES..)?);
    Some(hasher.finalize())
}

fn publish_bytes(publish: &Publish) -> usize {
    1 + 8 + 8 + 1 + 4 + 4 * publish.queues.as_slice().len() + 1 + 1 + 4 + 4 + publish.message.size()
}

/// Returns where the parts of the message begin.
fn put_publish(out: &mut Vec<u8>, publish: &Publish) -> Option<usize> {
    let Publish { id, message, queues, .. } = publish;
    let Stamp { arrived_ms, flags } = message.stamp();
    out.push(PUBLISH);
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&arrived_ms.to_le_bytes());
    out.push(flags);
    put_len(out, queues.as_slice().len())?;
    for queue in queues.as_slice() {
        out.extend_from_slice(&queue.0.to_le_bytes());
    }
    out.push(u8::try_from(message.exchange().len()).ok()?);
    out.push(u8::try_from(message.routing_key().len()).ok()?);
    put_len(out, message.properties().len())?;
    put_len(out, message.body().len())?;
    let start = out.len();
    for part in [message.exchange(), message.routing_key(), message.properties(), message.body()] {
        out.extend_from_slice(part);
    }
    Some(start)
}

fn take_publish(fields: &mut Fields<'_>) -> Option<Publish> {
    let id = fields.u64()?;
    let stamp = Stamp { arrived_ms: fields.u64()?, flags: fields.u8()? };
    let queues: Queues = fields.list(|fields| fields.u32().map(QueueId))?.into_iter().collect();
    let (exchange_len, routing_key_len) = (fields.u8()?.into(), fields.u8()?.into());
    let (properties_len, body_len) = (fields.len()?, fields.len()?);
    let message = Message::try_new(
        fields.bytes(exchange_len)?,
        fields.bytes(routing_key_len)?,
        fields.bytes(properties_len)?,
        fields.bytes(body_len)?,
    )?;
    Some(Publish { id, message: message.stamped(stamp), queues, durable: true })
}

/// Bytes of a change; `None` if a record does not carry its kind.
fn change_bytes(change: &Change) -> Option<usize> {
    let key_bytes = |key: &[u8]| 4 + key.len();
    Some(match change {
        Change::Settle { ids, .. } => 1 + 4 + 4 + 16 * ids.len(),
        Change::PutProgress { progress, .. } => 1 + 4 + 4 + 24 * progress.len(),
        Change::Remember { owner, keys } => {
            let keys = keys.iter().map(|key| key_bytes(&key.key) + 8);
            1 + key_bytes(owner.as_bytes()) + 4 + keys.sum::<usize>()
        }
        Change::Forget { owner, keys } => {
            let keys = keys.iter().map(|key| key_bytes(key));
            1 + key_bytes(owner.as_bytes()) + 4 + keys.sum::<usize>()
        }
        _ => return None,
    })
}

fn put_change(out: &mut Vec<u8>, change: &Change) -> Option<()> {
    match change {
        Change::Settle { queue, ids } => {
            out.push(SETTLE);
            out.extend_from_slice(&queue.0.to_le_bytes());
            put_len(out, ids.len())?;
            for range in ids {
                out.extend_from_slice(&range.start().to_le_bytes());
                out.extend_from_slice(&range.end().to_le_bytes());
            }
        }
        Change::PutProgress { queue, progress } => {
            out.push(PUT_PROGRESS);
            out.extend_from_slice(&queue.0.to_le_bytes());
            put_len(out, progress.len())?;
            for Progress { id, deliveries, retries, due_ms } in progress {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&deliveries.to_le_bytes());
                out.extend_from_slice(&retries.to_le_bytes());
                out.extend_from_slice(&due_ms.to_le_bytes());
            }
        }
        Change::Remember { owner, keys } => {
            out.push(REMEMBER);
            put_bytes(out, owner.as_bytes())?;
            put_len(out, keys.len())?;
            for RememberedKey { key, until_ms } in keys {
                put_bytes(out, key)?;
                out.extend_from_slice(&until_ms.to_le_bytes());
            }
        }
        Change::Forget { owner, keys } => {
            out.push(FORGET);
            put_bytes(out, owner.as_bytes())?;
            put_len(out, keys.len())?;
            keys.iter().try_for_each(|key| put_bytes(out, key))?;
        }
        _ => return None,
    }
    Some(())
}

fn take_change(tag: u8, fields: &mut Fields<'_>) -> Option<Change> {
    Some(match tag {
        SETTLE => Change::Settle {
            queue: QueueId(fields.u32()?),
            ids: fields.list(|fields| Some(fields.u64()?..=fields.u64()?))?,
        },
        PUT_PROGRESS => Change::PutProgress {
            queue: QueueId(fields.u32()?),
            progress: fields.list(|fields| {
                let id: MessageId = fields.u64()?;
                let (deliveries, retries) = (fields.u32()?, fields.u32()?);
                Some(Progress { id, deliveries, retries, due_ms: fields.u64()? })
            })?,
        },
        REMEMBER => Change::Remember {
            owner: fields.text()?,
            keys: fields.list(|fields| {
                Some(RememberedKey { key: fields.counted()?.to_vec(), until_ms: fields.u64()? })
            })?,
        },
        FORGET => Change::Forget {
            owner: fields.text()?,
            keys: fields.list(|fields| Some(fields.counted()?.to_vec()))?,
        },
        _ => return None,
    })
}

fn put_len(out: &mut Vec<u8>, len: usize) -> Option<()> {
    out.extend_from_slice(&u32::try_from(len).ok()?.to_le_bytes());
    Some(())
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    put_len(out, bytes.len())?;
    out.extend_from_slice(bytes);
    Some(())
}

/// The fields that are still to be read; each method takes one from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn len(&mut self) -> Option<usize> {
        self.u32().and_then(|len| usize::try_from(len).ok())
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let len = self.len()?;
        self.bytes(len)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.counted()?.to_vec()).ok()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.len()?).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place { epoch: 7, position: 8_192 };

    fn publish() -> impl Strategy<Value = Publish> {
        let queues = prop::collection::vec(any::<u32>(), 1..4);
        let parts = prop::collection::vec(any::<u8>(), 0..99);
        (any::<u64>(), queues, parts, 0..1_u64 << 48, any::<u8>()).prop_map(
            |(id, queues, parts, arrived_ms, flags)| Publish {
                id,
                message: Message::new(b"exchange", b"", &parts, &parts)
                    .stamped(Stamp { arrived_ms, flags }),
                queues: queues.into_iter().map(QueueId).collect(),
                durable: true,
            },
        )
    }

    fn change() -> impl Strategy<Value = Change> {
        let numbers = || prop::collection::vec(any::<u64>(), 0..9);
        prop_oneof![
            (any::<u32>(), numbers()).prop_map(|(queue, ids)| Change::Settle {
                queue: QueueId(queue),
                ids: ids.into_iter().map(|id| id..=id).collect(),
            }),
            (any::<u32>(), numbers()).prop_map(|(queue, ids)| Change::PutProgress {
                queue: QueueId(queue),
                progress: ids
                    .into_iter()
                    .map(|id| Progress { id, deliveries: 1, retries: 2, due_ms: id })
                    .collect(),
            }),
            (".{0,9}", numbers()).prop_map(|(owner, keys)| Change::Remember {
                owner,
                keys: keys
                    .into_iter()
                    .map(|n| RememberedKey { key: n.to_be_bytes().to_vec(), until_ms: n })
                    .collect(),
            }),
            (".{0,9}", numbers()).prop_map(|(owner, keys)| Change::Forget {
                owner,
                keys: keys.into_iter().map(|n| n.to_be_bytes().to_vec()).collect(),
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(
            publishes in prop::collection::vec(publish(), 0..9),
            changes in prop::collection::vec(change(), 0..9),
        ) {
            let record = encode(PLACE, &publishes, &changes, 1 << 20).unwrap();
            prop_assert_eq!(record_len(&record.bytes, PLACE), Some(record.bytes.len()));
            prop_assert_eq!(record_len(&record.bytes, Place { epoch: 8, ..PLACE }), None);
            prop_assert_eq!(record_len(&record.bytes, Place { position: 0, ..PLACE }), None);
            prop_assert!(is_whole(&record.bytes));
            let (found, found_changes) = decode(&record.bytes).unwrap();
            prop_assert_eq!(format!("{found_changes:?}"), format!("{changes:?}"));
            for list in [&found, &record.publishes] {
                prop_assert_eq!(format!("{list:?}"), format!("{publishes:?}"));
                let same = |(a, b): (&Publish, &Publish)| a.message == b.message;
                prop_assert!(list.iter().zip(&publishes).all(same));
            }
        }

        #[test]
        fn a_record_with_any_byte_changed_is_not_whole(
            publishes in prop::collection::vec(publish(), 1..3),
            at in any::<prop::sample::Index>(),
        ) {
            let record = encode(PLACE, &publishes, &[], 1 << 20).unwrap();
            let body_len = Fields(&record.bytes[16..]).len().unwrap();
            let mut bytes = record.bytes.to_vec();
            bytes[at.index(HEADER_BYTES + body_len)] ^= 0x10;
            prop_assert!(!is_whole(&bytes));
        }

        #[test]
        fn reading_any_bytes_does_not_panic(body in prop::collection::vec(0..9_u8, 0..200)) {
            let mut bytes = vec![0; HEADER_BYTES];
            bytes[16] = u8::try_from(body.len()).unwrap();
            bytes.extend_from_slice(&body);
            let _ = decode(&bytes);
            is_whole(&body);
        }
    }

    #[test]
    fn what_belongs_in_the_tables_at_once_is_not_encoded() {
        let delete = Change::DeleteQueue(QueueId(1));
        assert!(encode(PLACE, &[], &[delete], 1 << 20).is_none(), "a definition");
        let message = Message::new(b"", b"", b"", &[0; BLOCK_BYTES]);
        let large = Publish { id: 1, message, queues: Queues::One(QueueId(1)), durable: true };
        assert!(encode(PLACE, &[large], &[], BLOCK_BYTES).is_none(), "longer than allowed");
    }
}
