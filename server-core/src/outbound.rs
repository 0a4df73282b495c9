//! Output waiting for the socket: wire bytes in memory and parts of files still on disk.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::task::JoinHandle;

use crate::event::FileRange;
use crate::sendfile;
use crate::transport::Sink;
use crate::worker::Worker;

/// How much of a file is held in memory at a time.
const FILE_BLOCK: usize = 128 * 1024;

/// Written bytes that are kept in front of unwritten ones.
const COMPACT_AT: usize = 64 * 1024;

/// An ordered queue of output.
#[derive(Default)]
pub struct Outbound {
    front: Vec<u8>,
    written: usize,
    /// Bytes that the stream has taken and not passed on: an encrypted stream holds one run at most.
    unflushed: usize,
    later: VecDeque<Segment>,
    /// Bytes in `later`'s memory segments.
    later_bytes: usize,
    /// Whose totals have what is buffered here, and how much they have of it.
    counted: Option<(Rc<Worker>, usize)>,
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.clear();
    }
}

enum Segment {
    Bytes(Vec<u8>),
    File(FileReader),
}

impl Segment {
    fn is_sendable(&self) -> bool {
        matches!(self, Self::File(reader) if reader.remaining >= sendfile::LEAST && reader.pending.is_none())
    }
}

struct FileReader {
    file: Arc<std::fs::File>,
    offset: u64,
    remaining: u64,
    pending: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Outbound {
    /// A queue whose buffered bytes are in the totals of a worker.
    #[must_use]
    pub(crate) fn counted(worker: Rc<Worker>) -> Self {
        let mut out = Self::default();
        out.counted = Some((worker, 0));
        out
    }

    /// Brings the totals up to date.
    fn count(&mut self) {
        let buffered = self.buffered();
        if let Some((worker, known)) = &mut self.counted {
            let total = &worker.stats.buffered;
            total.set(total.get().wrapping_sub(*known as u64).wrapping_add(buffered as u64));
            *known = buffered;
        }
    }

    /// Bytes held in memory and not yet taken by the socket.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.front.len() - self.written + self.unflushed + self.later_bytes
    }

    /// Whether nothing at all is left to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written == self.front.len() && self.unflushed == 0 && self.later.is_empty()
    }

    /// Appends bytes through a writer function, so that encoders write in place.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.append_uncounted(write);
        self.count();
    }

    fn append_uncounted(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.later.is_empty() {
            if self.written == self.front.len() {
                self.front.clear();
                self.written = 0;
            } else if self.written >= COMPACT_AT {
                // A stream that is never quite drained must not keep all that it ever sent.
                self.front.drain(..self.written);
                self.written = 0;
            }
            write(&mut self.front);
            return;
        }
        if !matches!(self.later.back(), Some(Segment::Bytes(_))) {
            self.later.push_back(Segment::Bytes(Vec::new()));
        }
        if let Some(Segment::Bytes(bytes)) = self.later.back_mut() {
            let before = bytes.len();
            write(bytes);
            self.later_bytes += bytes.len() - before;
        }
    }

    /// Appends part of a file, read in blocks when its turn comes.
    pub fn push_file(&mut self, range: FileRange) {
        if range.length > 0 {
            self.later.push_back(Segment::File(FileReader {
                file: Arc::new(range.file),
                offset: range.offset,
                remaining: range.length,
                pending: None,
            }));
        }
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        self.front = Vec::new();
        self.written = 0;
        self.unflushed = 0;
        self.later = VecDeque::new();
        self.later_bytes = 0;
        self.count();
    }

    /// Writes as much as the stream takes. Ready when all is written, or with the stream's or the file's error. `count`
    /// is told of every write.
    pub fn poll_write<W: Sink>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
        count: impl FnMut(usize),
    ) -> Poll<io::Result<()>> {
        let poll = self.poll_write_uncounted(stream, cx, count);
        self.count();
        poll
    }

    fn poll_write_uncounted<W: Sink>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
        mut count: impl FnMut(usize),
    ) -> Poll<io::Result<()>> {
        if self.unflushed > 0 {
            ready!(Pin::new(&mut *stream).poll_flush(cx))?;
            count(std::mem::take(&mut self.unflushed));
        }
        loop {
            while self.written < self.front.len() {
                let rest = &self.front[self.written..];
                let before_file = stream.sends_files() && self.later.front().is_some_and(Segment::is_sendable);
                let written = ready!(match before_file {
                    true => stream.poll_write_before_file(cx, rest),
                    false => Pin::new(&mut *stream).poll_write(cx, rest),
                })?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.written += written;
                if Pin::new(&mut *stream).poll_flush(cx)?.is_pending() {
                    self.unflushed = written;
                    return Poll::Pending;
                }
                count(written);
            }
            if stream.sends_files()
                && let Some(Segment::File(reader)) = self.later.front_mut()
                && reader.can_be_sent()
            {
                count(ready!(reader.poll_send(cx, stream))?);
                if reader.remaining == 0 {
                    self.later.pop_front();
                }
                continue;
            }
            if !ready!(self.poll_next_segment(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Makes the next bytes ready to be taken by [`Self::take`], and says how many are; 0 when nothing is left.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.written == self.front.len() {
            if !ready!(self.poll_next_segment(cx))? {
                return Poll::Ready(Ok(0));
            }
            self.count();
        }
        Poll::Ready(Ok(self.front.len() - self.written))
    }

    /// Takes bytes that are ready, at most so many. All of them are taken without a copy.
    pub fn take(&mut self, most: usize) -> Bytes {
        if self.written == 0 && self.front.len() <= most {
            let taken = Bytes::from(std::mem::take(&mut self.front));
            self.count();
            return taken;
        }
        let end = self.front.len().min(self.written + most);
        let taken = Bytes::copy_from_slice(&self.front[self.written..end]);
        self.written = end;
        self.count();
        taken
    }

    /// Moves the next bytes to the front; `false` when there are none.
    fn poll_next_segment(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.later.front_mut() {
            None => Poll::Ready(Ok(false)),
            Some(Segment::Bytes(bytes)) => {
                self.later_bytes -= bytes.len();
                self.front = std::mem::take(bytes);
                self.written = 0;
                self.later.pop_front();
                Poll::Ready(Ok(true))
            }
            Some(Segment::File(reader)) => {
                // While a helper thread reads, the memory is with it and nothing is in front.
                self.written = 0;
                self.front.clear();
                ready!(reader.poll_read(cx, &mut self.front))?;
                if reader.remaining == 0 {
                    self.later.pop_front();
                }
                Poll::Ready(Ok(true))
            }
        }
    }
}

impl FileReader {
    /// Whether the next part can leave without being read: there is enough of it, and no disk to wait for (BLK-2).
    fn can_be_sent(&self) -> bool {
        self.remaining >= sendfile::LEAST
            && self.pending.is_none()
            && sendfile::is_cached(&self.file, self.offset, self.remaining.min(sendfile::MOST))
    }

    fn poll_send<W: Sink>(&mut self, cx: &mut Context<'_>, stream: &mut W) -> Poll<io::Result<usize>> {
        let sent = ready!(stream.poll_send_file(cx, &self.file, self.offset, self.remaining))?;
        if sent == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.offset += sent as u64;
        self.remaining = self.remaining.saturating_sub(sent as u64);
        Poll::Ready(Ok(sent))
    }

    /// Fills `block` with the next part of the file. What is in the page cache is read here; anything that would wait
    /// for a disk is read by a helper thread (BLK-2, EMB-12).
    fn poll_read(&mut self, cx: &mut Context<'_>, block: &mut Vec<u8>) -> Poll<io::Result<()>> {
        loop {
            if let Some(handle) = &mut self.pending {
                let joined = ready!(Pin::new(handle).poll(cx));
                self.pending = None;
                *block = joined.map_err(io::Error::other)??;
                break;
            }
            let length = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(FILE_BLOCK);
            block.resize(length, 0);
            let mut slices = [io::IoSliceMut::new(block)];
            match rustix::io::preadv2(&*self.file, &mut slices, self.offset, ReadWriteFlags::NOWAIT) {
                Ok(read) => {
                    block.truncate(read);
                    break;
                }
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    let (file, offset, block) = (Arc::clone(&self.file), self.offset, std::mem::take(block));
                    self.pending = Some(tokio::task::spawn_blocking(move || read_block(&file, offset, block)));
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        if block.is_empty() {
            // The file became shorter than it was when the response was started: the promise cannot be kept.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.offset += block.len() as u64;
        self.remaining = self.remaining.saturating_sub(block.len() as u64);
        Poll::Ready(Ok(()))
    }
}

fn read_block(file: &std::fs::File, offset: u64, mut block: Vec<u8>) -> io::Result<Vec<u8>> {
    let read = file.read_at(&mut block, offset)?;
    block.truncate(read);
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files in /proc can only be read by waiting, as on a disk that is slow.
    #[tokio::test]
    async fn blk_2_a_file_that_cannot_be_read_at_once_is_read_by_a_helper_thread() {
        let text = std::fs::read("/proc/version").unwrap();
        let mut out = Outbound::default();
        out.append(|bytes| bytes.extend_from_slice(b"head "));
        let file = std::fs::File::open("/proc/version").unwrap();
        out.push_file(FileRange { file, offset: 0, length: text.len() as u64 });
        out.append(|bytes| bytes.extend_from_slice(b"tail"));
        let mut written = Vec::new();
        let mut waited = 0;
        std::future::poll_fn(|cx| {
            let poll = out.poll_write(&mut written, cx, |_| {});
            if poll.is_pending() {
                waited += 1;
                assert_eq!(out.buffered(), 4, "what the helper reads is not in memory yet");
            }
            poll
        })
        .await
        .unwrap();
        assert!(waited > 0, "it was read in place");
        assert_eq!(written, [b"head ".as_slice(), &text, b"tail"].concat());
    }

    #[test]
    fn flow_2_counts_what_is_in_memory() {
        let mut out = Outbound::default();
        assert!(out.is_empty());
        out.append(|bytes| bytes.extend_from_slice(b"hello"));
        assert_eq!(out.buffered(), 5);
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        out.push_file(FileRange { file, offset: 0, length: 100 });
        out.append(|bytes| bytes.extend_from_slice(b"tail"));
        assert_eq!(out.buffered(), 9);
        out.clear();
        assert!(out.is_empty());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_buffered_is_in_the_totals_until_it_is_not() {
        let worker = Rc::new(Worker::new(crate::config::Config::default(), None));
        let total = || worker.stats.buffered.get();
        let mut out = Outbound::counted(Rc::clone(&worker));
        let mut other = Outbound::counted(Rc::clone(&worker));
        other.append(|bytes| bytes.extend_from_slice(&[7; 1000]));
        out.append(|bytes| bytes.extend_from_slice(b"hello"));
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        out.push_file(FileRange { file, offset: 0, length: 100 });
        out.append(|bytes| bytes.extend_from_slice(b"tail"));
        assert_eq!(total(), 1009);
        let mut sink = Vec::new();
        std::future::poll_fn(|cx| out.poll_write(&mut sink, cx, |_| ())).await.unwrap();
        assert_eq!((sink.len(), total()), (109, 1000));
        let ready = std::future::poll_fn(|cx| other.poll_ready(cx)).await.unwrap();
        other.take(ready - 10);
        assert_eq!(total(), 10);
        out.append(|bytes| bytes.extend_from_slice(b"more"));
        out.clear();
        assert_eq!(total(), 10);
        drop(other);
        assert_eq!(total(), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_never_quite_drained_does_not_grow() {
        let mut out = Outbound::default();
        for _ in 0..1000 {
            out.append(|bytes| bytes.extend_from_slice(&[7; 1000]));
            let ready = std::future::poll_fn(|cx| out.poll_ready(cx)).await.unwrap();
            out.take(ready - 1);
        }
        assert_eq!(out.buffered(), 1);
        assert!(out.front.capacity() < 4 * COMPACT_AT, "{}", out.front.capacity());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn body_4_files_and_bytes_leave_in_order() {
        let path = std::env::temp_dir().join(format!("pagi-outbound-{}", std::process::id()));
        let content: Vec<u8> = (0..400_000u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let mut out = Outbound::default();
        out.append(|bytes| bytes.extend_from_slice(b"head"));
        out.push_file(FileRange::open(path.clone(), 10, Some(300_000)).unwrap());
        out.append(|bytes| bytes.extend_from_slice(b"tail"));
        let mut sink = Vec::new();
        std::future::poll_fn(|cx| out.poll_write(&mut sink, cx, |_| ())).await.unwrap();
        assert_eq!(sink, [b"head", &content[10..300_010], b"tail"].concat());
        let mut taken = Vec::new();
        out.append(|bytes| bytes.extend_from_slice(b"head"));
        out.push_file(FileRange::open(path.clone(), 10, Some(300_000)).unwrap());
        out.append(|bytes| bytes.extend_from_slice(b"tail"));
        while std::future::poll_fn(|cx| out.poll_ready(cx)).await.unwrap() > 0 {
            taken.extend_from_slice(&out.take(50_000));
        }
        assert!(out.is_empty());
        assert_eq!(taken, sink);
        std::fs::remove_file(path).unwrap();
    }
}
