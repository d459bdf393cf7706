//! The task of one open connection: the only place where its socket is read and written.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{self, MissedTickBehavior};

use super::close::connection_close;
use super::frames::{Next, cut_whole_frames};
use super::heartbeat::{Beat, Heartbeat};
use super::{Connection, Event};
use crate::alarms::Alarms;
use crate::limits::{
    CLOSE_OK_TIMEOUT, READ_BUFFER_BYTES, WRITE_BUFFER_HIGH_BYTES, WRITE_BUFFER_STOP_READING_BYTES,
};
use crate::protocol::Fault;
use crate::protocol::frame::{Frame, HEARTBEAT};
use crate::protocol::method::{decode_method, method_id};
use crate::queue::Queue;

/// The read buffer of a connection that says little, in bytes: room for a few heartbeats or acknowledgements.
pub(super) const READ_BUFFER_MIN_BYTES: usize = 256;

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// The client closed it; the answer is in the write buffer.
    Closed,
    /// The socket is gone.
    Lost(std::io::Error),
    /// The client was silent for two heartbeat intervals.
    HeartbeatMissed,
    /// To be closed with this fault.
    Fault(Fault),
}

/// An open connection with its socket.
pub(super) struct Task<R, W> {
    pub(super) connection: Connection,
    pub(super) reader: R,
    pub(super) writer: W,
    /// What was read and not served yet.
    pub(super) input: BytesMut,
    pub(super) alarms: watch::Receiver<Alarms>,
    pub(super) heartbeat: Option<Heartbeat>,
    /// The size of the next read; grows with what comes.
    pub(super) read_bytes: usize,
    /// `connection.blocked` was sent, or would have been: nothing is read until the alarm is over.
    pub(super) blocked: bool,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Task<R, W> {
    /// Serves the connection to its end, whatever that is. Boxed by the caller: as an argument of its own future it would take
    /// its size twice.
    pub(super) async fn run(mut self: Box<Self>) {
        let end = match self.serve_input().await {
            Ok(()) => self.serve().await,
            Err(end) => end,
        };
        let id = self.connection.id.0;
        match &end {
            End::Closed => tracing::debug!(connection = id, "closed"),
            End::Lost(error) => tracing::info!(connection = id, %error, "connection lost"),
            End::HeartbeatMissed => {
                tracing::info!(connection = id, "missed heartbeats from client");
            }
            End::Fault(fault) => tracing::info!(connection = id, %fault, "connection closed"),
        }
        self.connection.send_gathered().await;
        self.connection.close_everything().await;
        match end {
            End::Closed => drop(time::timeout(CLOSE_OK_TIMEOUT, self.flush()).await),
            End::Fault(fault) => drop(time::timeout(CLOSE_OK_TIMEOUT, self.part(&fault)).await),
            End::Lost(_) | End::HeartbeatMissed => {}
        }
    }

    async fn serve(&mut self) -> End {
        let mut tick = time::interval(self.heartbeat.as_ref().map_or(
            // Without heartbeats the tick only gives memory back.
            time::Duration::from_secs(30),
            Heartbeat::period,
        ));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Err(end) = self.step(&mut tick).await {
                return end;
            }
        }
    }

    /// Waits for one thing to happen and acts on it.
    async fn step(&mut self, tick: &mut time::Interval) -> Result<(), End> {
        let out_bytes = self.connection.out.len();
        let may_read = !self.blocked
            && self.connection.held_by.is_empty()
            && out_bytes < WRITE_BUFFER_STOP_READING_BYTES;
        let may_take = out_bytes < WRITE_BUFFER_HIGH_BYTES;
        if may_read {
            self.input.reserve(self.read_bytes);
        }
        tokio::select! {
            written = self.writer.write_buf(&mut self.connection.out), if out_bytes > 0 => {
                self.written(written)
            }
            event = self.connection.events.next(), if may_take => self.take_events(event).await,
            read = self.reader.read_buf(&mut self.input), if may_read => {
                self.read(read)?;
                self.serve_input().await
            }
            () = released(&self.connection.held_by) => {
                self.connection.held_by.pop();
                Ok(())
            }
            _ = self.alarms.changed() => {
                self.alarms_changed();
                Ok(())
            }
            _ = tick.tick() => self.tick(),
        }
    }

    fn read(&mut self, read: std::io::Result<usize>) -> Result<(), End> {
        let bytes = read.map_err(End::Lost)?;
        if bytes == 0 {
            return Err(End::Lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.read(Instant::now());
        }
        if bytes >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 4).min(READ_BUFFER_BYTES);
        }
        Ok(())
    }

    fn written(&mut self, written: std::io::Result<usize>) -> Result<(), End> {
        written.map_err(End::Lost)?;
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.written(Instant::now());
        }
        Ok(())
    }

    /// Serves the whole frames that have been read.
    async fn serve_input(&mut self) -> Result<(), End> {
        let (frames, broken) = cut_whole_frames(&mut self.input, self.connection.frame_max);
        let served = self.connection.serve(&frames).await;
        self.connection.answers_written().await.map_err(End::Fault)?;
        match served {
            Ok(Next::GoOn) => {}
            Ok(Next::Closed) => return Err(End::Closed),
            Err(fault) => return Err(End::Fault(fault)),
        }
        if let Some(fault) = broken {
            return Err(End::Fault(fault));
        }
        self.alarms_changed();
        Ok(())
    }

    /// Takes what waits in the outbox, up to a full write buffer.
    async fn take_events(&mut self, first: Event) -> Result<(), End> {
        let mut next = Some(first);
        while let Some(event) = next {
            self.connection.take_event(event).await.map_err(End::Fault)?;
            let has_room = self.connection.out.len() < WRITE_BUFFER_HIGH_BYTES;
            next = if has_room { self.connection.events.try_next() } else { None };
        }
        Ok(())
    }

    /// A connection that has published is not read while an alarm is on, as in RabbitMQ.
    fn alarms_changed(&mut self) {
        let alarms = *self.alarms.borrow_and_update();
        match alarms.reason() {
            Some(reason) if self.connection.has_published && !self.blocked => {
                self.blocked = true;
                self.connection.blocked(reason);
            }
            None if self.blocked => {
                self.blocked = false;
                self.connection.unblocked();
            }
            Some(_) | None => {}
        }
    }

    fn tick(&mut self) -> Result<(), End> {
        self.give_back();
        let Some(heartbeat) = &mut self.heartbeat else {
            return Ok(());
        };
        let now = Instant::now();
        if self.blocked || !self.connection.held_by.is_empty() {
            // Whoever is not listened to cannot be missed. One that takes no answers can.
            heartbeat.read(now);
        }
        match heartbeat.beat(now) {
            Beat::Nothing => Ok(()),
            Beat::Send => {
                self.connection.out.buffer().extend_from_slice(&HEARTBEAT);
                Ok(())
            }
            Beat::Missed => Err(End::HeartbeatMissed),
        }
    }

    /// Gives back what has grown with the traffic. One that has traffic takes it again, which at this interval costs nothing.
    fn give_back(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
            self.read_bytes = READ_BUFFER_MIN_BYTES;
        }
        self.connection.give_back();
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.writer.write_all_buf(&mut self.connection.out).await?;
        self.writer.shutdown().await
    }

    /// Sends `connection.close` and waits for its answer, or for the client's own close.
    async fn part(&mut self, fault: &Fault) -> std::io::Result<()> {
        self.connection.send(0, connection_close(fault));
        self.writer.write_all_buf(&mut self.connection.out).await?;
        if fault.code == crate::protocol::ReplyCode::FrameError {
            // What follows cannot be told apart any more.
            return self.writer.shutdown().await;
        }
        loop {
            let (frames, broken) = cut_whole_frames(&mut self.input, self.connection.frame_max);
            if broken.is_some() || is_answered(&frames) {
                return self.flush().await;
            }
            self.input.reserve(READ_BUFFER_MIN_BYTES);
            if self.reader.read_buf(&mut self.input).await? == 0 {
                return Ok(());
            }
        }
    }
}

/// Waits until the last of the queues lets its publishers go on; for ever if there is none.
async fn released(held_by: &[Arc<Queue>]) {
    match held_by.last() {
        Some(queue) => queue.flow.released().await,
        None => std::future::pending().await,
    }
}

/// Whether there is a `connection.close-ok` or `connection.close` among the frames.
fn is_answered(frames: &Bytes) -> bool {
    use amq_protocol::protocol::{AMQPClass, connection::AMQPMethod};
    let mut from = 0;
    while let Some(frame) = Frame::at(frames, from) {
        from = frame.end;
        let payload = frames.get(frame.payload.clone()).unwrap_or_default();
        if frame.channel != 0 || method_id(payload).is_none_or(|(class, _)| class != 10) {
            continue;
        }
        let method = decode_method(payload);
        if let Ok(AMQPClass::Connection(AMQPMethod::CloseOk(_) | AMQPMethod::Close(_))) = method {
            return true;
        }
    }
    false
}
