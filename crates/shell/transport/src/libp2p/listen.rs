//! Listening, with an error that names the port.
//!
//! libp2p sets SO_REUSEPORT, so that two processes can listen on one port and each gets some of the connections. A bind without that option
//! finds out first.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use alys_wire::{Address, TransportKind};
use libp2p::swarm::Swarm;

use super::behaviour::Behaviour;
use super::{StartError, address};

/// Whether somebody listens there already.
pub(super) fn probe(at: &Address) -> Result<(), StartError> {
    let (Some(ip), Some(port)) = (at.ip(), at.port()) else { return Ok(()) };
    if port == 0 {
        return Ok(());
    }
    let place = SocketAddr::new(ip, port);
    let bound = match at.transport() {
        Some(TransportKind::Tcp) => TcpListener::bind(place).map(drop),
        _ => UdpSocket::bind(place).map(drop),
    };
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken { port, address: at.clone() },
        _ => refused(at, &error),
    })
}

/// Listens on all of them.
pub(super) fn listen(swarm: &mut Swarm<Behaviour>, on: &[Address]) -> Result<(), StartError> {
    for at in on {
        let parsed = address::parse(at).ok_or_else(|| refused(at, &"not an address"))?;
        swarm.listen_on(parsed).map_err(|error| refused(at, &error))?;
    }
    Ok(())
}

fn refused(at: &Address, reason: &dyn core::fmt::Display) -> StartError {
    StartError::Listen { address: at.clone(), reason: reason.to_string() }
}
