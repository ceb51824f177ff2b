//! One connection to one simulated host, from the first byte to the last.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, Handle, Msg, Session};
use russh::{Channel, ChannelId, ChannelWriteHalf, Sig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, Notify, oneshot};
use tokio::time::sleep;

use super::command::{Request, Task};
use super::plan::{self, At, Fault, Plan};
use super::record::{Deed, Record};
use super::wire::Wire;

/// Output that is sent in one go.
const SMALL: usize = 30_000;
/// A piece of endless output, and the pause after it, lest a few hosts fill the report of thousands.
const BREATH: (usize, Duration) = (1_000, Duration::from_millis(20));
/// Time for what was sent to leave before a connection is reset.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// All hosts.
pub(crate) struct World {
    pub(crate) plans: Vec<Plan>,
    visits: Vec<AtomicU32>,
    pub(crate) record: Record,
    right: Arc<server::Config>,
    wrong: Arc<server::Config>,
    client: PublicKey,
    next_pid: AtomicU32,
    processes: Mutex<HashMap<u32, Arc<Notify>>>,
    barrier: Option<Barrier>,
    /// Results that must have been told before those of the last hosts are.
    before_last: usize,
    told: Notify,
}

impl World {
    pub(crate) fn new(
        plans: Vec<Plan>,
        record: Record,
        host: PrivateKey,
        other: PrivateKey,
        client: PublicKey,
    ) -> Self {
        let config = |key| {
            Arc::new(server::Config {
                keys: vec![key],
                auth_rejection_time: Duration::ZERO,
                nodelay: true,
                ..server::Config::default()
            })
        };
        let barrier = plans.iter().map(|plan| plan.barrier).max().filter(|&size| size > 0).map(Barrier::new);
        Self {
            visits: plans.iter().map(|_| AtomicU32::new(0)).collect(),
            before_last: plans.iter().filter(|plan| !plan.last).count(),
            plans,
            record,
            right: config(host),
            wrong: config(other),
            client,
            next_pid: AtomicU32::new(1000),
            processes: Mutex::default(),
            barrier,
            told: Notify::new(),
        }
    }

    /// Serves a connection, if it is to one of the hosts.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream) {
        let Ok(Some(number)) = stream.local_addr().map(|address| match address.ip() {
            IpAddr::V4(address) => plan::number(address).filter(|&number| number <= self.plans.len()),
            IpAddr::V6(_) => None,
        }) else {
            return;
        };
        let plan = &self.plans[number - 1];
        let connection = self.visits[number - 1].fetch_add(1, Ordering::SeqCst) + 1;
        let _inside = self.record.connections.enter();
        let dropped = fastrand::u8(0..100) < plan.drop;
        let fault = plan.fault.filter(|_| connection <= plan.times);
        let word = if dropped { Some("dropped") } else { fault.map(Fault::word) };
        self.record.put(number, connection, Deed::Open(word.map(str::to_owned)));
        sleep(plan.latency).await;
        if matches!(fault, Some(Fault::Reset(_))) {
            // However this socket is closed now, the client sees a reset.
            let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        if dropped {
            return;
        }
        match fault {
            Some(Fault::Refuse | Fault::Reset(At::Accept)) => {}
            Some(Fault::Mute) => say_and_listen(stream, "", usize::MAX).await,
            Some(Fault::Reset(At::Banner)) => say_and_listen(stream, "SSH-2.0-fleet\r\n", 1).await,
            Some(Fault::Reset(At::Kex)) => say_and_listen(stream, "SSH-2.0-fleet\r\n", 300).await,
            _ => self.clone().speak(stream, number, connection, fault).await,
        }
    }

    /// Speaks SSH.
    async fn speak(self: Arc<Self>, stream: TcpStream, number: usize, connection: u32, fault: Option<Fault>) {
        let _ = stream.set_nodelay(true);
        let config = if fault == Some(Fault::Key) { &self.wrong } else { &self.right }.clone();
        let plan = self.plans[number - 1].clone();
        let (cutter, cut) = oneshot::channel();
        let wire = Wire::new(stream, plan.latency, plan.reads, cut);
        let world = self.clone();
        let at = Place { world, plan, number, connection, fault };
        let peer =
            Peer { at, cutter: Some(cutter), halves: HashMap::new(), reading: HashMap::new(), looking: HashMap::new() };
        if let Ok(session) = server::run_stream(config, wire, peer).await {
            let _ = session.await;
        }
    }

    fn processes(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<Notify>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says something and hears so many bytes; then the connection is closed.
async fn say_and_listen(mut stream: TcpStream, words: &str, enough: usize) {
    let mut heard = 0;
    let mut buffer = [0; 4096];
    if stream.write_all(words.as_bytes()).await.is_err() {
        return;
    }
    while heard < enough {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => heard += count,
        }
    }
}

/// Which connection to which host, and what is wrong with it.
#[derive(Clone)]
struct Place {
    world: Arc<World>,
    plan: Plan,
    number: usize,
    connection: u32,
    fault: Option<Fault>,
}

impl Place {
    fn put(&self, deed: Deed) {
        self.world.record.put(self.number, self.connection, deed);
    }

    fn resets(&self, at: At) -> bool {
        self.fault == Some(Fault::Reset(at))
    }

    /// Ends the connection here, if that is its fault.
    fn pass(&self, at: At) -> Result<(), russh::Error> {
        if self.resets(at) {
            self.put(Deed::Reset);
            return Err(russh::Error::Disconnect);
        }
        Ok(())
    }
}

/// The other end of a session.
struct Peer {
    at: Place,
    cutter: Option<oneshot::Sender<()>>,
    halves: HashMap<ChannelId, ChannelWriteHalf<Msg>>,
    /// Commands whose text is still on its way.
    reading: HashMap<ChannelId, (Request, Vec<u8>)>,
    /// Shells that take lines, and what of a line has come.
    looking: HashMap<ChannelId, (Request, Vec<u8>)>,
}

impl Peer {
    /// Answers the lines that have come: a mark each, and what the look is given.
    fn look(&mut self, channel: ChannelId, bytes: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        let Some((_, line)) = self.looking.get_mut(&channel) else { return Ok(()) };
        line.extend_from_slice(bytes);
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let whole: Vec<u8> = line.drain(..=end).collect();
            let text = String::from_utf8_lossy(&whole);
            let mark = text.split_whitespace().next().unwrap_or_default().to_owned();
            let status = self.at.plan.exit;
            let said = format!("{PROBED}{mark} {status}.\n");
            self.at.put(Deed::Looked);
            session.data(channel, said.into_bytes())?;
            session.extended_data(channel, 1, format!("{mark}\n").into_bytes())?;
        }
        Ok(())
    }

    /// Runs a command: at once where nothing takes time, else as a task of its own.
    fn run(&mut self, channel: ChannelId, request: Request, session: &mut Session) -> Result<(), russh::Error> {
        let half = self.halves.remove(&channel);
        if let Task::Kill(pid) = request.task {
            let victim = self.at.world.processes().remove(&pid);
            let said = if victim.is_some() { "killed\n" } else { "gone\n" };
            if let Some(victim) = victim {
                self.at.put(Deed::Killed(pid));
                victim.notify_one();
            }
            return answer(session, channel, &request, 1, said, 0);
        }
        self.at.pass(At::Exec)?;
        if request.task == Task::Looks {
            let pid = self.at.world.next_pid.fetch_add(1, Ordering::SeqCst);
            let (head, errors) = request.head(pid);
            session.extended_data(channel, 1, errors.into_bytes())?;
            session.data(channel, head.into_bytes())?;
            self.looking.insert(channel, (request, Vec::new()));
            return Ok(());
        }
        let plan = &self.at.plan;
        let (output, status) = match &request.task {
            Task::Echo(words) => (words.clone(), 0),
            Task::Exit(status) => (String::new(), *status),
            Task::Probe => (PROBED.to_owned(), plan.exit),
            Task::Planned | Task::Kill(_) | Task::Looks | Task::Read { .. } => {
                (plan::output(self.at.number, plan.output), plan.exit)
            }
        };
        let pid = self.at.world.next_pid.fetch_add(1, Ordering::SeqCst);
        self.at.put(Deed::Begun(pid));
        let simple = self.at.fault.is_none() && plan.command.is_zero() && plan.barrier == 0 && !plan.last;
        if simple && output.len() <= SMALL {
            let _inside = self.at.world.record.commands.enter();
            self.at.put(Deed::Told { pid, status, output: output.len() });
            self.at.world.told.notify_waiters();
            return answer(session, channel, &request, pid, &output, status);
        }
        let Some(half) = half else { return Err(russh::Error::WrongChannel) };
        let command = Play {
            at: self.at.clone(),
            handle: session.handle(),
            half,
            channel,
            request,
            pid,
            output,
            status,
            cutter: self.cutter.take(),
        };
        tokio::spawn(command.run());
        Ok(())
    }
}

/// What a probe finds on every host.
const PROBED: &str = "state=waiting\ngsctl_look_ends=yes\n";

/// A whole command in one go.
fn answer(
    session: &mut Session,
    channel: ChannelId,
    request: &Request,
    pid: u32,
    output: &str,
    status: u8,
) -> Result<(), russh::Error> {
    let ((head, errors), (tail, last)) = (request.head(pid), request.tail(status));
    if !errors.is_empty() {
        session.extended_data(channel, 1, errors.into_bytes())?;
    }
    let said = [head.as_str(), output, &tail].concat();
    if !said.is_empty() {
        session.data(channel, said.into_bytes())?;
    }
    if !last.is_empty() {
        session.extended_data(channel, 1, last.into_bytes())?;
    }
    session.eof(channel)?;
    session.exit_status_request(channel, u32::from(status))?;
    session.close(channel)
}

/// A command that takes its time, or goes wrong.
struct Play {
    at: Place,
    handle: Handle,
    half: ChannelWriteHalf<Msg>,
    channel: ChannelId,
    request: Request,
    pid: u32,
    output: String,
    status: u8,
    cutter: Option<oneshot::Sender<()>>,
}

impl Play {
    async fn run(mut self) {
        let killed = Arc::new(Notify::new());
        self.at.world.processes().insert(self.pid, killed.clone());
        let world = self.at.world.clone();
        let pid = self.pid;
        {
            let _inside = world.record.commands.enter();
            let ended = tokio::select! {
                ended = self.play() => ended,
                () = killed.notified() => Ok(()),
            };
            // Whoever listened has gone: what is written ends in a broken pipe, and nothing was told.
            drop(ended);
        }
        world.processes().remove(&pid);
    }

    async fn play(&mut self) -> Result<(), russh::Error> {
        let world = self.at.world.clone();
        let (head, errors) = self.request.head(self.pid);
        self.half.extended_data_bytes(1, errors.into_bytes()).await?;
        self.half.data_bytes(head.into_bytes()).await?;
        self.cut(At::Begun).await?;
        sleep(self.at.plan.command).await;
        if self.at.fault == Some(Fault::Hang) {
            std::future::pending::<()>().await;
        }
        while self.at.fault == Some(Fault::Endless) {
            self.half.data_bytes(plan::output(self.at.number, BREATH.0).into_bytes()).await?;
            sleep(BREATH.1).await;
        }
        if let (Some(barrier), 1..) = (&world.barrier, self.at.plan.barrier) {
            barrier.wait().await;
        }
        let output = std::mem::take(&mut self.output).into_bytes();
        let (first, rest) = output.split_at(output.len() / 2);
        self.half.data_bytes(first.to_vec()).await?;
        self.cut(At::Output).await?;
        self.half.data_bytes(rest.to_vec()).await?;
        if self.at.plan.last {
            loop {
                let told = world.told.notified();
                if world.record.told.load(Ordering::SeqCst) >= world.before_last {
                    break;
                }
                told.await;
            }
        }
        match self.at.fault {
            Some(Fault::Signal) => {
                self.at.put(Deed::Signal(self.pid));
                let signal =
                    self.handle.exit_signal_request(self.channel, Sig::KILL, false, String::new(), String::new());
                signal.await.map_err(|()| russh::Error::SendError)?;
            }
            Some(Fault::Silent) => {
                self.at.put(Deed::Silent(self.pid));
                self.half.eof().await?;
                self.half.exit_status(0).await?;
            }
            _ => {
                self.at.put(Deed::Told { pid: self.pid, status: self.status, output: output.len() });
                world.told.notify_waiters();
                let (tail, last) = self.request.tail(self.status);
                self.half.data_bytes(tail.into_bytes()).await?;
                self.half.extended_data_bytes(1, last.into_bytes()).await?;
                self.cut(At::Told).await?;
                self.half.eof().await?;
                self.half.exit_status(u32::from(self.status)).await?;
            }
        }
        self.half.close().await
    }

    /// Cuts the connection here, if that is its fault.
    async fn cut(&mut self, at: At) -> Result<(), russh::Error> {
        if !self.at.resets(at) {
            return Ok(());
        }
        sleep(ON_ITS_WAY).await;
        self.at.put(Deed::Reset);
        if let Some(cutter) = self.cutter.take() {
            let _ = cutter.send(());
        }
        Err(russh::Error::Disconnect)
    }
}

impl server::Handler for Peer {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _: &str,
        offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.at.pass(At::Auth)?;
        let known = offer.public_key.key_data() == self.at.world.client.key_data();
        Ok(if known && self.at.fault != Some(Fault::Auth) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, _: &str, _: server::VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        sleep(self.at.plan.login).await;
        self.at.put(Deed::Login);
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.at.pass(At::Channel)?;
        let (_, half) = channel.split();
        self.halves.insert(half.id(), half);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        text: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let request = Request::read(&String::from_utf8_lossy(text));
        session.channel_success(channel)?;
        if let Task::Read { .. } = request.task {
            self.reading.insert(channel, (request, Vec::new()));
            return Ok(());
        }
        self.run(channel, request, session)
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let Some((request, _)) = self.looking.remove(&channel) else { return Ok(()) };
        let (tail, last) = request.tail(0);
        session.data(channel, tail.into_bytes())?;
        session.extended_data(channel, 1, last.into_bytes())?;
        session.eof(channel)?;
        session.exit_status_request(channel, 0)?;
        session.close(channel)
    }

    async fn data(&mut self, channel: ChannelId, bytes: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        if self.looking.contains_key(&channel) {
            return self.look(channel, bytes, session);
        }
        let Some((request, mut text)) = self.reading.remove(&channel) else { return Ok(()) };
        text.extend_from_slice(bytes);
        let Task::Read { id, bytes } = &request.task else { return Ok(()) };
        if text.len() < *bytes {
            self.reading.insert(channel, (request, text));
            return Ok(());
        }
        let whole = *bytes;
        let request = Request::of_program(id, &String::from_utf8_lossy(&text[..whole]));
        self.run(channel, request, session)?;
        // What comes behind the program is for who takes lines.
        if text.len() > whole && self.looking.contains_key(&channel) {
            return self.look(channel, &text[whole..], session);
        }
        Ok(())
    }
}

/// The socket that all hosts share: on every address, but reachable through the loopback device alone.
pub(crate) fn listen(port: u16) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind_device(Some(b"lo"))?;
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
