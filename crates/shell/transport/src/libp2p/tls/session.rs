//! One step of a TLS session: what has come is decrypted, what must go is encrypted, from one buffer into another.

use std::io;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

/// Either end.
pub(super) enum Session {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What a step may do.
pub(super) struct Work<'a> {
    /// Where decrypted bytes go, and how many went there.
    pub into: &'a mut [u8],
    pub filled: usize,
    /// Where those go that have no room there.
    pub rest: &'a mut Vec<u8>,
    /// Where encrypted bytes go, and how many went there.
    pub out: &'a mut [u8],
    pub sent: usize,
    /// What is to be encrypted: all of it, or nothing.
    pub plain: &'a [u8],
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to do with what is here.
    Again,
    /// More bytes of the peer are needed.
    Starved,
    /// The plaintext is encrypted.
    Encrypted,
    /// The peer says that nothing more comes.
    Ended,
}

impl Session {
    /// Does one step; how many bytes of `incoming` are used up.
    pub fn step(&mut self, incoming: &mut [u8], work: &mut Work<'_>) -> (usize, io::Result<Step>) {
        match self {
            Self::Client(client) => drive(client.process_tls_records(incoming), work),
            Self::Server(server) => drive(server.process_tls_records(incoming), work),
        }
    }

    pub fn is_handshaking(&self) -> bool {
        match self {
            Self::Client(client) => client.is_handshaking(),
            Self::Server(server) => server.is_handshaking(),
        }
    }

    #[cfg(test)]
    pub fn cipher(&self) -> Option<rustls::CipherSuite> {
        let chosen = match self {
            Self::Client(client) => client.negotiated_cipher_suite(),
            Self::Server(server) => server.negotiated_cipher_suite(),
        };
        chosen.map(|suite| suite.suite())
    }

    /// What the peer showed.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        let shown = match self {
            Self::Client(client) => client.peer_certificates(),
            Self::Server(server) => server.peer_certificates(),
        };
        shown.unwrap_or_default()
    }

    /// Says that nothing more comes from us; how many bytes went to `out`.
    pub fn end(&mut self, incoming: &mut [u8], out: &mut [u8]) -> usize {
        let wrote = |state: Result<usize, _>| state.unwrap_or(0);
        match self {
            Self::Client(client) => match client.process_tls_records(incoming).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => wrote(traffic.queue_close_notify(out)),
                _ => 0,
            },
            Self::Server(server) => match server.process_tls_records(incoming).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => wrote(traffic.queue_close_notify(out)),
                _ => 0,
            },
        }
    }
}

fn drive<D>(status: UnbufferedStatus<'_, '_, D>, work: &mut Work<'_>) -> (usize, io::Result<Step>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Err(error) => Err(invalid(error)),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Step::Again),
                Some(Err(error)) => break Err(invalid(error)),
                Some(Ok(record)) => {
                    discard += record.discard;
                    work.take(record.payload);
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => match data.encode(&mut work.out[work.sent..]) {
            Ok(n) => {
                work.sent += n;
                Ok(Step::Again)
            }
            Err(error) => Err(io::Error::other(error)),
        },
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // It stands in the outgoing buffer, in front of everything later.
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::WriteTraffic(mut traffic)) if !work.plain.is_empty() => {
            match traffic.encrypt(work.plain, &mut work.out[work.sent..]) {
                Ok(n) => {
                    work.sent += n;
                    Ok(Step::Encrypted)
                }
                Err(error) => Err(io::Error::other(error)),
            }
        }
        Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => Ok(Step::Starved),
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::Ended),
        Ok(_) => Err(io::Error::other("a state of TLS that was not asked for")),
    };
    (discard, step)
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Work<'_> {
    fn take(&mut self, payload: &[u8]) {
        // Behind bytes that had no room nothing may come that has.
        let room = if self.rest.is_empty() { self.into.len() - self.filled } else { 0 };
        let (fits, over) = payload.split_at(room.min(payload.len()));
        self.into[self.filled..self.filled + fits.len()].copy_from_slice(fits);
        self.filled += fits.len();
        self.rest.extend_from_slice(over);
    }
}
