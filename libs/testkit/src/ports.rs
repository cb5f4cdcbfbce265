//! Free TCP ports on loopback.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    sync::Mutex,
};

/// Below Linux' range for outgoing connections (32768 and up), so that a port that was
/// found free is not taken by one of those before its server binds it.
const RANGE: RangeInclusive<u16> = 15_000..=31_999;

static HANDED_OUT: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port that nothing listens on, never handed out twice in this process.
///
/// Servers that are restarted in place, or that tell others their address before they
/// are up, cannot let the system choose a port as they bind. Starts looking at a random
/// place, so that test programs that run at the same time do not meet.
///
/// # Panics
/// If 17,000 ports are taken.
pub fn free_port() -> u16 {
    let mut guard = HANDED_OUT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let handed_out = guard.get_or_insert_with(HashSet::new);
    let first = rand::random_range(RANGE);
    let port = (first..=*RANGE.end())
        .chain(*RANGE.start()..first)
        .find(|port| !handed_out.contains(port) && is_free(*port));
    let Some(port) = port else {
        panic!("no TCP port in {RANGE:?} is free")
    };
    handed_out.insert(port);
    port
}

/// `preferred`, or the next port above it that nothing listens on.
pub fn free_port_from(preferred: u16) -> u16 {
    (preferred..u16::MAX)
        .find(|port| is_free(*port))
        .unwrap_or_else(free_port)
}

/// Whether nothing listens on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
