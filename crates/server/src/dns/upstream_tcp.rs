//! Asks an upstream server over TCP: one connection, one query, one answer.

use std::io;
use std::time::Duration;

use dns::settings::Server;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::upstream::source;

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);

/// Returns the answer, whatever it is.
///
/// # Errors
/// When the server is not reached in time, or ends the connection before it has answered.
pub(super) async fn ask(server: Server, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = timeout(CONNECT, connect(server)).await.map_err(io::Error::from)??;
    timeout(ANSWER, exchange(&mut stream, query)).await.map_err(io::Error::from)?
}

async fn connect(server: Server) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server.address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    source(&socket, server, 0)?;
    match socket.connect(&server.address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
        _ => {}
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match SockRef::from(&stream).take_error()? {
        Some(error) => Err(error),
        None => Ok(stream),
    }
}

async fn exchange(stream: &mut TcpStream, query: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // In one piece: some servers take the length alone for a whole message.
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
