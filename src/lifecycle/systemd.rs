//! The word to systemd (or whoever set NOTIFY_SOCKET): ready, reloading, stopping, alive, and one line of status.
//!
//! The words come from the sd-notify crate; sending them is ours, because the crate's own function reads the environment
//! each time (nothing a test could replace), knows no abstract sockets, and may block on a full one. Saying something is
//! never allowed to hurt: without a socket nothing happens, and a failure is logged and forgotten.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

/// Talks to the service manager; mute without one. Clones share the socket.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says: NOTIFY_SOCKET, and WATCHDOG_USEC if it is meant for this process.
    pub fn from_env() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        let Some(socket) = socket else {
            return Self::default();
        };
        Self::connect(&socket, sd_notify::watchdog_enabled()).unwrap_or_else(|error| {
            tracing::warn!(%error, "NOTIFY_SOCKET can't be reached: the service manager is told nothing");
            Self::default()
        })
    }

    /// Talks to `socket` (a path; a leading `@` names an abstract one). `watchdog`: the time within which the service
    /// manager wants to hear that the process is alive; zero means never.
    pub fn connect(socket: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match socket.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(socket)?,
        };
        let datagram = UnixDatagram::unbound()?;
        datagram.connect_addr(&address)?;
        datagram.set_nonblocking(true)?;
        Ok(Self {
            socket: Some(Arc::new(datagram)),
            watchdog: watchdog.filter(|limit| !limit.is_zero()),
        })
    }

    /// Within so long the service manager wants to hear [`Notifier::alive`]. None: it doesn't care.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// It serves. Also the end of a reload, whatever became of it.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// It reads its configuration again; [`Notifier::ready`] must follow. Always with the monotonic time, without which
    /// newer versions of systemd call the reload failed.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the monotonic clock can't be read"),
        }
    }

    /// It drains.
    pub fn stopping(&self, status: &str) {
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status(&one_line(status)),
        ]);
    }

    /// What `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(&one_line(status))]);
    }

    /// Its loops beat.
    pub fn alive(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else {
            return;
        };
        let lines: Vec<_> = states.iter().map(ToString::to_string).collect();
        if let Err(error) = socket.send(lines.join("\n").as_bytes()) {
            tracing::warn!(%error, "the service manager was not told: {}", lines[0]);
        }
    }
}

/// A line break would begin another word of the protocol.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen() -> (UnixDatagram, tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        (socket, dir, path)
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_phase_is_one_datagram() {
        let (socket, _dir, path) = listen();
        let notifier = Notifier::connect(path.as_os_str(), None).unwrap();
        notifier.ready("2 jobs\nREADY=0");
        assert_eq!(heard(&socket), "READY=1\nSTATUS=2 jobs READY=0");
        notifier.reloading();
        let reloading = heard(&socket);
        let monotonic = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(
            monotonic.unwrap().parse::<u64>().unwrap() > 0,
            "{reloading}"
        );
        notifier.status("held");
        assert_eq!(heard(&socket), "STATUS=held");
        notifier.alive();
        assert_eq!(heard(&socket), "WATCHDOG=1");
        notifier.stopping("draining");
        assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=draining");
    }

    #[test]
    fn an_abstract_socket_is_reached_by_its_at_sign() {
        let name = format!("tesa-reconciler-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::connect(OsStr::new(&format!("@{name}")), None).unwrap();
        notifier.alive();
        assert_eq!(heard(&socket), "WATCHDOG=1");
    }

    #[test]
    fn nobody_to_talk_to_is_no_trouble() {
        Notifier::default().ready("serving");
        let (socket, dir, path) = listen();
        let notifier = Notifier::connect(path.as_os_str(), Some(Duration::ZERO)).unwrap();
        assert_eq!(notifier.watchdog(), None, "zero means off");
        drop((socket, dir));
        notifier.alive();
    }
}
