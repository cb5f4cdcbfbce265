//! Cameras that are broken, by script: a small RTSP server on loopback that speaks well until a
//! [`Fault`] has it do otherwise. It knows H.264 over the connection itself and no more.

mod faults;
mod speech;

use std::{
    io::{self, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

pub use faults::{FAULTS, Fault, NONE};
use speech::{Answer, Well, requests};

use crate::Error;

/// What a stream of a broken camera has to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It says one of these problem codes.
    Says(&'static [&'static str]),
    /// It is live all the same.
    Plays,
}

/// How media is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Media {
    /// As it should be.
    Well,
    /// The NAL units of each picture, changed; with the picture's number.
    Units(fn(usize, Vec<Vec<u8>>) -> Vec<Vec<u8>>),
    /// The payloads of each picture, changed; with the picture's number.
    Payloads(fn(usize, Vec<Vec<u8>>) -> Vec<Vec<u8>>),
    /// Each RTP packet, changed; with its number.
    Packets(fn(usize, Vec<u8>) -> Vec<Vec<u8>>),
    /// Another timestamp for each picture.
    Times(fn(usize) -> u32),
    /// Bytes on the connection before each picture, with its number; none: it closes.
    Bytes(fn(usize) -> Option<Vec<u8>>),
    /// Nothing at all.
    Silence,
}

/// Pictures of H.264, as NAL units without start codes.
#[derive(Debug)]
pub struct Footage {
    pictures: Vec<Vec<Vec<u8>>>,
}

impl Footage {
    /// Two seconds of a test picture with one keyframe, made by FFmpeg in `folder`.
    ///
    /// # Errors
    /// FFmpeg cannot be run.
    pub fn make(folder: &Path) -> Result<Arc<Self>, Error> {
        let path = folder.join("broken-camera.h264");
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i"])
            .arg("testsrc2=size=320x180:rate=25:duration=2")
            .args([
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-pix_fmt",
                "yuv420p",
                "-g",
                "50",
            ])
            .args(["-x264-params", "aud=1:sliced-threads=0", "-threads", "1"])
            .arg(&path)
            .output()
            .map_err(Error::io("running ffmpeg"))?;
        let what = || format!("reading {}", path.display());
        let bytes = std::fs::read(&path).map_err(Error::io(what()))?;
        if !output.status.success() {
            return Err(Error::Missing("ffmpeg made no test picture".to_owned()));
        }
        let mut pictures: Vec<Vec<Vec<u8>>> = Vec::new();
        for unit in units(&bytes) {
            // An access unit delimiter begins a picture.
            if unit.first().is_some_and(|header| header & 0x1f == 9) {
                pictures.push(Vec::new());
            } else if let Some(picture) = pictures.last_mut() {
                picture.push(unit);
            }
        }
        Ok(Arc::new(Self { pictures }))
    }
}

/// The NAL units of a byte stream.
fn units(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut starts = Vec::new();
    for at in 0..bytes.len().saturating_sub(2) {
        if bytes.get(at..at + 3) == Some(&[0, 0, 1]) {
            starts.push(at + 3);
        }
    }
    let ends = starts.iter().skip(1).map(|next| next - 3);
    starts
        .iter()
        .zip(ends.chain([bytes.len()]))
        .filter_map(|(start, end)| bytes.get(*start..end))
        .map(|unit| {
            let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
            unit[..unit.len() - zeros].to_vec()
        })
        .collect()
}

/// A camera with a fault, as long as this value lives.
#[derive(Debug)]
pub struct BrokenCamera {
    port: u16,
    gone: Arc<AtomicBool>,
}

impl Drop for BrokenCamera {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Relaxed);
        // Wakes the one who waits for connections.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl BrokenCamera {
    /// Starts it.
    ///
    /// # Errors
    /// There is no port.
    pub fn start(fault: &'static Fault, footage: &Arc<Footage>) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(Error::io("listening on loopback"))?;
        let port = listener
            .local_addr()
            .map_err(Error::io("the address of a listener"))?
            .port();
        let gone = Arc::new(AtomicBool::new(false));
        let camera = Self {
            port,
            gone: gone.clone(),
        };
        let footage = footage.clone();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if gone.load(Ordering::Relaxed) {
                    return;
                }
                let (footage, gone) = (footage.clone(), gone.clone());
                thread::spawn(move || {
                    // That the other side hangs up is how it ends.
                    let _ = serve(connection, fault, &footage, port, &gone);
                });
            }
        });
        Ok(camera)
    }

    /// Where it is played.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }
}

fn serve(
    mut connection: TcpStream,
    fault: &Fault,
    footage: &Arc<Footage>,
    port: u16,
    gone: &Arc<AtomicBool>,
) -> io::Result<()> {
    let mut well = Well::new(port);
    let reader = connection.try_clone()?;
    for asked in requests(reader) {
        let answer = (fault.answer)(&asked);
        match answer {
            Answer::Well => connection.write_all(&well.answer(&asked))?,
            Answer::Bytes(bytes) => connection.write_all(&bytes)?,
            Answer::BytesThenClose(bytes) => {
                connection.write_all(&bytes)?;
                return connection.shutdown(Shutdown::Both);
            }
            Answer::Close => return connection.shutdown(Shutdown::Both),
            Answer::Silence => {}
        }
        if asked.method == "PLAY" {
            let sender = Sender {
                connection: connection.try_clone()?,
                footage: footage.clone(),
                gone: gone.clone(),
                sequence: 65_530,
                packets: 0,
            };
            let media = fault.media;
            thread::spawn(move || {
                // As above.
                let _ = sender.send(media);
            });
        }
    }
    Ok(())
}

/// Sends pictures in real time.
struct Sender {
    connection: TcpStream,
    footage: Arc<Footage>,
    gone: Arc<AtomicBool>,
    sequence: u16,
    packets: usize,
}

/// Payloads are not longer.
const PAYLOAD: usize = 1200;

impl Sender {
    fn send(mut self, media: Media) -> io::Result<()> {
        for number in 0.. {
            if self.gone.load(Ordering::Relaxed) {
                return self.connection.shutdown(Shutdown::Both);
            }
            let mut timestamp = (number as u32).wrapping_mul(3600).wrapping_sub(90_000);
            let at = number % self.footage.pictures.len();
            let mut picture = self.footage.pictures[at].clone();
            match media {
                Media::Units(change) => picture = change(number, picture),
                Media::Times(time) => timestamp = time(number),
                Media::Bytes(bytes) => match bytes(number) {
                    Some(bytes) => self.connection.write_all(&bytes)?,
                    None => return self.connection.shutdown(Shutdown::Both),
                },
                Media::Silence => picture.clear(),
                Media::Well | Media::Payloads(_) | Media::Packets(_) => {}
            }
            let mut payloads: Vec<_> = picture.iter().flat_map(|unit| fragments(unit)).collect();
            if let Media::Payloads(change) = media {
                payloads = change(number, payloads);
            }
            let last = payloads.len().saturating_sub(1);
            for (at, payload) in payloads.iter().enumerate() {
                let mut packet = vec![0x80, 96 | if at == last { 0x80 } else { 0 }];
                packet.extend_from_slice(&self.sequence.to_be_bytes());
                packet.extend_from_slice(&timestamp.to_be_bytes());
                packet.extend_from_slice(&[1, 2, 3, 4]);
                packet.extend_from_slice(payload);
                self.sequence = self.sequence.wrapping_add(1);
                let packets = match media {
                    Media::Packets(change) => change(self.packets, packet),
                    _ => vec![packet],
                };
                self.packets += 1;
                for packet in packets {
                    self.connection.write_all(&interleaved(0, &packet))?;
                }
            }
            thread::sleep(Duration::from_millis(40));
        }
        Ok(())
    }
}

/// A packet on the connection itself (RFC 2326 §10.12).
pub(crate) fn interleaved(channel: u8, packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'$', channel];
    bytes.extend_from_slice(&(packet.len() as u16).to_be_bytes());
    bytes.extend_from_slice(packet);
    bytes
}

/// Payloads of a NAL unit (RFC 6184 §5.6, §5.8).
fn fragments(unit: &[u8]) -> Vec<Vec<u8>> {
    let [header, body @ ..] = unit else {
        return Vec::new();
    };
    if unit.len() <= PAYLOAD {
        return vec![unit.to_vec()];
    }
    let pieces: Vec<&[u8]> = body.chunks(PAYLOAD).collect();
    let last = pieces.len() - 1;
    let fragment = |(at, piece): (usize, &&[u8])| {
        let first = if at == 0 { 0x80 } else { 0 };
        let end = if at == last { 0x40 } else { 0 };
        [&[header & 0xe0 | 28, header & 0x1f | first | end], *piece].concat()
    };
    pieces.iter().enumerate().map(fragment).collect()
}
