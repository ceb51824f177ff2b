//! What hosts tell, on its way from the threads of the fleet to the run.
//!
//! What is only for the eye, such as the phases of a login, does not wake the run: it is found before whatever wakes it next, in the
//! order in which it came, and at ticks. To wake a thread costs as much as a tenth of a login.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::{Receiver, Sender, TrySendError};

use super::executor::FleetEvent;
use crate::event::HostId;

/// The end of a thread of the fleet.
#[derive(Clone)]
pub(super) struct EventSender {
    events: Sender<(HostId, FleetEvent)>,
    wake: Sender<()>,
    follow: Arc<AtomicBool>,
}

/// The run's end.
pub(super) struct EventReceiver {
    events: Receiver<(HostId, FleetEvent)>,
    wake: Receiver<()>,
    follow: Arc<AtomicBool>,
}

/// A queue for so many events.
pub(super) fn event_queue(capacity: usize) -> (EventSender, EventReceiver) {
    let (events, received) = async_channel::bounded(capacity);
    let (wake, woken) = async_channel::bounded(1);
    let follow = Arc::new(AtomicBool::new(false));
    (EventSender { events, wake, follow: follow.clone() }, EventReceiver { events: received, wake: woken, follow })
}

impl EventSender {
    /// Tells what the run must know, and waits for room.
    pub(super) async fn send(&self, host: HostId, event: FleetEvent) {
        let wakes = self.wakes(&event);
        if let Err(TrySendError::Full(event)) = self.events.try_send((host, event)) {
            // It may all be what nobody was woken for.
            self.wake();
            let _ = self.events.send(event).await;
        }
        if wakes {
            self.wake();
        }
    }

    /// Tells what is for the eye: where there is no room it is left out.
    pub(super) fn show(&self, host: HostId, event: FleetEvent) {
        let wakes = self.wakes(&event);
        if self.events.try_send((host, event)).is_err() || wakes {
            self.wake();
        }
    }

    fn wakes(&self, event: &FleetEvent) -> bool {
        !event.may_wait() || self.follow.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        let _ = self.wake.try_send(());
    }
}

impl EventReceiver {
    /// Whether each event is to wake the run, be it for the eye or not.
    pub(super) fn follow(&self, each: bool) {
        self.follow.store(each, Ordering::Relaxed);
    }

    /// Waits until something must be looked at. False where nothing will ever come again.
    pub(super) async fn woken(&self) -> bool {
        self.wake.recv().await.is_ok()
    }

    /// The next event, if there is one.
    pub(super) fn next(&self) -> Option<(HostId, FleetEvent)> {
        self.events.try_recv().ok()
    }

    /// Nothing is taken any more: whoever waits for room goes on.
    pub(super) fn close(&self) {
        self.events.close();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Instant;

    use super::*;
    use crate::outcome::Phase;
    use crate::runner::job::JobResult;
    use crate::transport::ConnectProgress;

    fn phase() -> FleetEvent {
        FleetEvent::Progress(ConnectProgress::Phase(Phase::Auth), Instant::now())
    }

    fn is_woken(queue: &EventReceiver) -> bool {
        pin!(queue.woken()).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(true)
    }

    #[test]
    fn what_is_for_the_eye_wakes_nobody_and_is_found_in_its_order() {
        let (sender, queue) = event_queue(8);
        sender.show(1, phase());
        assert!(!is_woken(&queue));
        futures_lite::future::block_on(sender.send(2, FleetEvent::Done(JobResult::Reached)));
        sender.show(3, phase());
        assert!(is_woken(&queue));
        let hosts: Vec<_> = std::iter::from_fn(|| queue.next()).map(|(host, _)| host).collect();
        assert_eq!(hosts, [1, 2, 3]);
        queue.follow(true);
        sender.show(4, phase());
        assert!(is_woken(&queue));
    }

    #[test]
    fn a_full_queue_wakes_and_loses_only_what_is_for_the_eye() {
        let (sender, queue) = event_queue(1);
        sender.show(1, phase());
        sender.show(2, phase());
        assert!(is_woken(&queue), "it is full");
        let other = sender.clone();
        let mut sending = pin!(other.send(3, FleetEvent::Done(JobResult::Reached)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(sending.as_mut().poll(&mut context).is_pending());
        assert!(is_woken(&queue), "somebody waits for room");
        assert_eq!(queue.next().map(|(host, _)| host), Some(1));
        assert!(sending.as_mut().poll(&mut context).is_ready());
        assert!(is_woken(&queue));
        assert_eq!(queue.next().map(|(host, _)| host), Some(3));
    }
}
