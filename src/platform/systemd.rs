//! What systemd hands over, and what it wants to hear: sockets, and that we are ready.

use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use listenfd::ListenFd;

/// Sockets that were open when the program started, by `LISTEN_FDS` and `LISTEN_PID`.
pub struct Sockets(ListenFd);

impl Sockets {
    /// To be called once, and before there are threads: it takes the variables out of the environment.
    pub fn inherited() -> Self {
        Self(ListenFd::from_env())
    }

    /// All of them. None, or one that is not of TCP, is an error.
    pub fn listeners(&mut self) -> io::Result<Vec<TcpListener>> {
        let mut listeners = Vec::new();
        for number in 0..self.0.len() {
            listeners.extend(self.0.take_tcp_listener(number)?);
        }
        if listeners.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "there are none; is the .socket unit started?",
            ));
        }
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(listeners)
    }
}

/// Says that the service is up, for `Type=notify`; `socket` is what `NOTIFY_SOCKET` has, see `sd_notify(3)`.
pub fn ready(socket: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_arrives() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        ready(path.to_str().expect("UTF-8")).expect("sent");
        let mut word = [0; 16];
        let length = manager.recv(&mut word).expect("received");
        assert_eq!(word.get(..length), Some(&b"READY=1"[..]));
        assert!(ready("/nowhere/at/all").is_err());

        let name = format!("teams-rooms-exporter-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        let manager = UnixDatagram::bind_addr(&address).expect("bound");
        ready(&format!("@{name}")).expect("sent");
        assert_eq!(manager.recv(&mut word).expect("received"), length);
    }
}
