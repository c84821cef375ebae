//! The socket's options: no waiting for more to send, a dead peer noticed, acknowledgements at once.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// Sets what holds for the whole connection.
pub(crate) fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(5))?;
    sockopt::set_tcp_keepcnt(socket, 3)?;
    acknowledge_at_once(socket);
    Ok(())
}

/// Asks for the next acknowledgement without delay. The kernel forgets this, so it is asked anew after each read:
/// a server that keeps Nagle on (Prosody) else waits 4 to 40 ms with its next words. Failing costs only that time.
pub(crate) fn acknowledge_at_once(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = sockopt::set_tcp_quickack(socket, true);
}
