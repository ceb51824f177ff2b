//! What a connection tells, over a pair and without one.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::cancel::{Deadline, Raced, race};
use crate::reactor::{Reactor, sleep};

/// What libssh2 does: reads until there is nothing more.
fn read_all(socket: &SessionSocket, bytes: &mut u64) {
    let mut buffer = [0; 1024];
    while let Ok((_, count @ 1..)) = recv(&socket.state().far, &mut buffer, RecvFlags::empty()) {
        *bytes += count as u64;
    }
}

/// The two ends of a connection whose keys are exchanged.
async fn connected() -> (SessionSocket, std::net::TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let socket = SessionSocket::connect(listener.local_addr().unwrap(), None, Duration::from_secs(60)).await.unwrap();
    let mut server = listener.accept().unwrap().0;
    server.write_all(b"SSH-2.0-x\r\n").unwrap();
    socket.ready(BlockDirections::Inbound).await.unwrap();
    read_all(&socket, &mut 0);
    socket.exchanged();
    socket.logged_in();
    (socket, server)
}

fn is_direct(socket: &SessionSocket) -> bool {
    socket.state().pair.is_none()
}

#[test]
fn once_keys_are_exchanged_nothing_is_handed_over() {
    Reactor::new().unwrap().block_on(async {
        let (socket, mut server) = connected().await;
        assert!(!is_direct(&socket));
        let number = socket.as_raw_fd();
        let said = thread::spawn(move || {
            server.write_all(b"first").unwrap();
            server
        });
        socket.ready(BlockDirections::Inbound).await.unwrap();
        let mut bytes = 0;
        while bytes < 5 {
            read_all(&socket, &mut bytes);
            if bytes < 5 {
                socket.ready(BlockDirections::Inbound).await.unwrap();
            }
        }
        let mut server = said.join().unwrap();
        // There is nothing to read: the pair goes.
        let waiting = socket.ready(BlockDirections::Inbound);
        assert!(future::poll_once(Box::pin(waiting)).await.is_none());
        assert!(is_direct(&socket));
        assert_eq!(socket.as_raw_fd(), number);
        assert!(rustix::io::fcntl_getfd(&socket.state().far).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(!socket.is_over() && !socket.has_ended());
        // What libssh2 writes is at the server's without a turn of ours, and the other way round.
        rustix::net::send(&socket.state().far, b"up", rustix::net::SendFlags::empty()).unwrap();
        let mut up = [0; 2];
        server.read_exact(&mut up).unwrap();
        server.write_all(b"last").unwrap();
        drop(server);
        socket.ready(BlockDirections::Inbound).await.unwrap();
        while !socket.has_ended() {
            read_all(&socket, &mut bytes);
        }
        assert_eq!((&up, bytes, socket.is_over()), (b"up", 9, true));
        // The end is told at once, however often it is asked for.
        for _ in 0..3 {
            socket.ready(BlockDirections::Inbound).await.unwrap();
        }
    });
}

#[test]
fn who_keeps_the_thread_with_bytes_without_end_gets_the_pair_back_and_loses_none() {
    Reactor::new().unwrap().block_on(async {
        let (socket, mut server) = connected().await;
        let waiting = socket.ready(BlockDirections::Inbound);
        assert!(future::poll_once(Box::pin(waiting)).await.is_none());
        assert!(is_direct(&socket));
        let over = Arc::new(AtomicBool::new(false));
        let flood = thread::spawn({
            let over = over.clone();
            move || {
                let mut sent = 0;
                while !over.load(Ordering::SeqCst) {
                    sent += server.write(&[7; 16384]).unwrap() as u64;
                }
                sent
            }
        });
        // A call that would never come back, if nobody looked.
        let mut bytes = 0;
        while read_to_the_pair(&socket, &mut bytes) {}
        assert!(!is_direct(&socket));
        over.store(true, Ordering::SeqCst);
        // From here on it comes piece by piece, and all of it.
        while socket.cut().is_none() && !socket.has_ended() {
            socket.ready(BlockDirections::Inbound).await.unwrap();
            read_all(&socket, &mut bytes);
            socket.used(1 << 20);
        }
        assert_eq!((socket.cut(), bytes), (None, flood.join().unwrap()));
        assert!(!is_direct(&socket), "it stays");
    });
}

/// Reads from the number that libssh2 knows, once. False once there is nothing.
fn read_to_the_pair(socket: &SessionSocket, bytes: &mut u64) -> bool {
    // libssh2 holds no lock.
    thread::sleep(Duration::from_micros(100));
    let state = socket.state();
    match recv(&state.far, &mut [0; 16384], RecvFlags::empty()) {
        Ok((_, count)) => {
            *bytes += count as u64;
            true
        }
        // The flood may be late.
        Err(_) => state.pair.is_none(),
    }
}

#[test]
fn what_nobody_asked_for_is_counted_without_a_pair_too() {
    Reactor::new().unwrap().block_on(async {
        let (socket, mut server) = connected().await;
        assert!(future::poll_once(Box::pin(socket.ready(BlockDirections::Inbound))).await.is_none());
        assert!(is_direct(&socket));
        let flood = thread::spawn(move || while server.write_all(&[7; 4096]).is_ok() {});
        let mut bytes = 0;
        while socket.cut().is_none() {
            socket.ready(BlockDirections::Inbound).await.unwrap();
            // A piece at a time, as a slow server sends it.
            let _ = recv(&socket.state().far, &mut [0; 1024], RecvFlags::empty()).map(|(_, count)| bytes += count);
        }
        assert!(bytes <= 2 << 20, "{bytes}");
        assert!(socket.cut().unwrap().contains("without end"));
        socket.shut();
        drop(socket);
        flood.join().unwrap();
    });
}

#[test]
fn what_is_there_when_the_pair_comes_between_is_told() {
    Reactor::new().unwrap().block_on(async {
        let (socket, mut server) = connected().await;
        assert!(future::poll_once(Box::pin(socket.ready(BlockDirections::Inbound))).await.is_none());
        assert!(is_direct(&socket));
        server.write_all(b"late").unwrap();
        // The reactor has told of it, and will not again.
        while socket.0.socket.available() < 4 {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(5)).await;
        socket.ready(BlockDirections::Inbound).await.unwrap();
        socket.0.put_pair_between();
        let late = Deadline::after(Some(Duration::from_secs(60)));
        let told = race(socket.ready(BlockDirections::Inbound), late, None).await;
        assert!(matches!(told, Raced::Done(Ok(()))));
        let mut bytes = 0;
        read_all(&socket, &mut bytes);
        assert_eq!(bytes, 4);
    });
}
