//! The least that logging in to many hosts and running `true` can cost with the same libraries: no host keys, no reports, and what
//! comes back is read and dropped. The nodes get the very bytes that gsctl sends them, by the same cipher. What gsctl takes more than
//! this is its own.
//!
//!     bare PORT USER KEY FANOUT <ADDRESSES

use std::io::{self, Read, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ssh2::{BlockDirections, ErrorCode, MethodType, Session};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

thread_local! {
    static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; 64 * 1024]);
}

struct Work {
    addresses: Vec<SocketAddr>,
    user: String,
    key: String,
    /// What is asked for, and what is written then.
    request: (String, Vec<u8>),
    ciphers: String,
    next: AtomicUsize,
    good: AtomicUsize,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, user, key, fanout] = words.as_slice() else { return ExitCode::from(2) };
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).expect("the addresses can be read");
    let port: u16 = port.parse().expect("a port");
    let fanout: usize = fanout.parse().expect("a number");
    let work = Arc::new(Work {
        addresses: text.lines().map(|line| SocketAddr::new(line.parse().expect("an address"), port)).collect(),
        user: user.clone(),
        key: std::fs::read_to_string(key).expect("the key can be read"),
        request: gsctl::testing::wire_text("true"),
        ciphers: gsctl::testing::default_ciphers().join(","),
        next: AtomicUsize::new(0),
        good: AtomicUsize::new(0),
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(fanout);
    std::thread::scope(|scope| {
        for core in 0..cores {
            let work = Arc::clone(&work);
            let lanes = (fanout + cores - 1 - core) / cores;
            scope.spawn(move || shard(&work, lanes));
        }
    });
    let missed = work.addresses.len() - work.good.load(Ordering::SeqCst);
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn shard(work: &Arc<Work>, lanes: usize) {
    let runtime = Builder::new_current_thread().enable_io().build().expect("a reactor");
    let tasks = LocalSet::new();
    for _ in 0..lanes {
        let work = Arc::clone(work);
        tasks.spawn_local(async move {
            while let Some(&address) = work.addresses.get(work.next.fetch_add(1, Ordering::SeqCst)) {
                if visit(&work, address).await.is_ok_and(|status| status == 0) {
                    work.good.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
    }
    runtime.block_on(tasks);
}

async fn visit(work: &Work, address: SocketAddr) -> io::Result<i32> {
    let stream = Arc::new(TcpStream::connect(address).await?);
    stream.set_nodelay(true)?;
    let mut session = Session::new()?;
    session.set_blocking(false);
    for direction in [MethodType::CryptCs, MethodType::CryptSc] {
        session.method_pref(direction, &work.ciphers)?;
    }
    session.set_tcp_stream(Arc::clone(&stream));
    let watched = session.clone();
    drive(&watched, &stream, || session.handshake()).await?;
    drive(&watched, &stream, || session.userauth_pubkey_memory(&work.user, None, &work.key, None)).await?;
    let mut channel = drive(&watched, &stream, || session.channel_session()).await?;
    let (request, input) = &work.request;
    drive(&watched, &stream, || channel.exec(request)).await?;
    let mut written = 0;
    while written < input.len() {
        match channel.write(&input[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready(&watched, &stream).await?,
            Err(error) => return Err(error),
        }
    }
    drive(&watched, &stream, || channel.send_eof()).await?;
    let mut errors = channel.stderr();
    loop {
        let read = drop_available(&mut channel)? + drop_available(&mut errors)?;
        // A look at one stream takes in what has come for the other too.
        if read > 0 || channel.read_window().available > 0 {
            // As fair to the other hosts as gsctl is.
            tokio::task::yield_now().await;
        } else if channel.eof() {
            break;
        } else {
            ready(&watched, &stream).await?;
        }
    }
    drive(&watched, &stream, || channel.wait_close()).await?;
    let status = channel.exit_status()?;
    let _ = socket2::SockRef::from(&*stream).shutdown(Shutdown::Both);
    Ok(status)
}

/// Reads what is there, and forgets it.
fn drop_available(from: &mut impl Read) -> io::Result<usize> {
    BUFFER.with_borrow_mut(|buffer| match from.read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        read => read,
    })
}

async fn drive<T>(
    session: &Session,
    stream: &TcpStream,
    mut call: impl FnMut() -> Result<T, ssh2::Error>,
) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.code() == ErrorCode::Session(-37) => ready(session, stream).await?,
            done => return Ok(done?),
        }
    }
}

async fn ready(session: &Session, stream: &TcpStream) -> io::Result<()> {
    let interest = match session.block_directions() {
        BlockDirections::Outbound => Interest::WRITABLE,
        _ => Interest::READABLE,
    };
    stream.ready(interest).await?;
    // libssh2 uses up what there is.
    let _ = stream.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    Ok(())
}
