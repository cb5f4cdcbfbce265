//! Cuts off readers that do not read: what they hold could serve others.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long it may take a connection to take up [`STEP`] bytes that wait for it. At this
/// rate no stream could be watched.
const PATIENCE: Duration = Duration::from_secs(20);
/// See [`PATIENCE`].
const STEP: usize = 64 * 1024;

/// A connection that is closed when its peer takes up what waits for it too slowly.
///
/// It also counts: the slot that it took is free again when it ends.
#[derive(Debug)]
pub struct Bounded<S> {
    stream: S,
    /// Runs while something waits to be taken up.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes taken up since the deadline was set.
    taken: usize,
    _slot: OwnedSemaphorePermit,
}

impl<S> Bounded<S> {
    /// Bounds `stream`, which holds `slot`.
    pub fn new(stream: S, slot: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            deadline: None,
            taken: 0,
            _slot: slot,
        }
    }

    /// Judges what a write came to.
    fn judge(
        &mut self,
        wrote: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(count)) => {
                self.taken += count;
                if self.taken >= STEP {
                    self.settle();
                }
                wrote
            }
            Poll::Ready(Err(_)) => wrote,
            Poll::Pending => {
                let deadline = self
                    .deadline
                    .get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + PATIENCE)));
                ready!(deadline.as_mut().poll(cx));
                metrics::counter!("reelay_gateway_connections_too_slow_total").increment(1);
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the peer reads too slowly",
                )))
            }
        }
    }

    /// Nothing waits any more, or enough was taken up.
    fn settle(&mut self) {
        self.deadline = None;
        self.taken = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(wrote, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(wrote, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // Whoever flushes has handed everything over before.
        self.settle();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::sync::Semaphore;

    use super::*;

    fn bounded<S>(stream: S) -> Bounded<S> {
        Bounded::new(
            stream,
            Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_stops_reading_is_cut_off_after_a_while() {
        let (ours, theirs) = duplex(1024);
        let begin = Instant::now();
        let error = bounded(ours).write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), PATIENCE.as_secs());
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_bit_by_bit_is_cut_off_too() {
        let (ours, mut theirs) = duplex(1024);
        let trickle = tokio::spawn(async move {
            let mut byte = [0];
            while theirs.read_exact(&mut byte).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = bounded(ours).write_all(&[0; STEP]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_but_steady_peer_and_an_idle_one_are_not() {
        let (ours, mut theirs) = duplex(1024);
        let mut ours = bounded(ours);
        let steady = tokio::spawn(async move {
            let mut bytes = vec![0; 8 * 1024];
            for _ in 0..64 {
                theirs.read_exact(&mut bytes).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            theirs
        });
        ours.write_all(&vec![0; 64 * 8 * 1024]).await.unwrap();
        ours.flush().await.unwrap();
        let mut theirs = steady.await.unwrap();
        tokio::time::sleep(PATIENCE * 3).await;
        let late = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE / 2).await;
            theirs.read_exact(&mut vec![0; 2048]).await.unwrap();
        });
        ours.write_all(&[0; 2048]).await.unwrap();
        late.await.unwrap();
    }
}
