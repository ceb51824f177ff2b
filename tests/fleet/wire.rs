//! The network in front of a host: latency, a slow reader, and a cable that can be cut.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

/// A connection as the server has it, until it is cut.
pub(crate) struct Wire {
    line: Line,
    cut: Option<oneshot::Receiver<()>>,
}

enum Line {
    Near(TcpStream),
    Far(DuplexStream),
}

impl Wire {
    /// A wire of this length; a word through `cut` breaks it.
    pub(crate) fn new(stream: TcpStream, latency: Duration, reads: usize, cut: oneshot::Receiver<()>) -> Self {
        let line = if latency.is_zero() && reads == 0 {
            Line::Near(stream)
        } else {
            let (near, far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(carry_both(stream, far, latency / 2, reads));
            Line::Far(near)
        };
        Self { line, cut: Some(cut) }
    }
}

/// Both directions; the end of one is the end of the other.
async fn carry_both(stream: TcpStream, far: DuplexStream, half: Duration, reads: usize) {
    let (from_client, to_client) = stream.into_split();
    let (from_server, to_server) = tokio::io::split(far);
    tokio::select! {
        () = carry(from_client, to_server, half, reads) => {}
        () = carry(from_server, to_client, half, 0) => {}
    }
}

/// One direction: whatever comes in goes out that much later.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, late: Duration, pace: usize) {
    let (sender, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(256);
    let reading = async move {
        loop {
            let mut buffer = vec![0; if pace == 0 { 16 * 1024 } else { pace.div_ceil(20) }];
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => buffer.truncate(count),
            }
            if pace > 0 {
                sleep(Duration::from_millis(50)).await;
            }
            if sender.send((Instant::now() + late, buffer)).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = queue.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(cut) = &mut this.cut
            && let Poll::Ready(word) = Pin::new(cut).poll(cx)
        {
            this.cut = None;
            if word.is_ok() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
        match &mut this.line {
            Line::Near(stream) => Pin::new(stream).poll_read(cx, buffer),
            Line::Far(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.get_mut().line {
            Line::Near(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
            Line::Far(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
        };
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().line {
            Line::Near(stream) => Pin::new(stream).poll_flush(cx),
            Line::Far(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().line {
            Line::Near(stream) => Pin::new(stream).poll_shutdown(cx),
            Line::Far(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
