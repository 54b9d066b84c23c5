//! Which nodes a devnet has, where they keep their data, where they listen.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// How many ports a node takes: one for peers, one for RPC.
const PORTS_PER_NODE: u16 = 2;

/// One node of the devnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlan {
    /// Its number, from 1.
    pub number: usize,
    /// Its data directory.
    pub dir: PathBuf,
    /// Its place in the authority set; none for a full node.
    pub authority: Option<usize>,
    /// Whether it starts empty and has to sync.
    pub newcomer: bool,
    /// Where it listens for peers.
    pub p2p: u16,
    /// Where it listens for RPC.
    pub rpc: u16,
}

impl NodePlan {
    /// Its RPC address.
    #[must_use]
    pub fn rpc_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.rpc).into()
    }

    /// Its listening address, as a multiaddr.
    #[must_use]
    pub fn listen(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.p2p)
    }
}

/// Plans the nodes: the authorities first, the last one of them a newcomer (with a history to sync), full nodes after them, newcomers as well.
#[must_use]
pub fn nodes(root: &Path, nodes: usize, authorities: usize, history: u64, base_port: u16) -> Vec<NodePlan> {
    let port = |number: usize, offset: u16| {
        let index = u16::try_from(number - 1).unwrap_or(u16::MAX);
        base_port.saturating_add(index.saturating_mul(PORTS_PER_NODE)).saturating_add(offset)
    };
    let late = (history > 0 && authorities > 1).then_some(authorities);
    let plan = |number: usize| NodePlan {
        number,
        dir: root.join(format!("node{number}")),
        authority: (number <= authorities).then(|| number - 1),
        newcomer: late == Some(number) || (history > 0 && number > authorities),
        p2p: port(number, 0),
        rpc: port(number, 1),
    };
    (1..=nodes).map(plan).collect()
}

/// Checks that all ports are free.
///
/// # Errors
/// [`Exit::PortInUse`] with the port and the flag that changes it.
pub fn check_ports(nodes: &[NodePlan]) -> Result<(), Failure> {
    for port in nodes.iter().flat_map(|node| [node.p2p, node.rpc]) {
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            let message =
                format!("port {port} cannot be used ({error}): choose another first port with --port");
            return Err(Failure::new(Exit::PortInUse, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_four_authorities_have_the_history_and_the_fifth_starts_empty() {
        let plan = nodes(Path::new("/d"), 5, 5, 20_000, 31_000);
        assert_eq!(
            plan.iter().map(|node| node.newcomer).collect::<Vec<_>>(),
            [false, false, false, false, true]
        );
        assert_eq!(
            plan.iter().map(|node| node.authority).collect::<Vec<_>>(),
            (0..5).map(Some).collect::<Vec<_>>()
        );
        assert_eq!((plan[4].p2p, plan[4].rpc), (31_008, 31_009));
        assert_eq!(plan[0].listen(), "/ip4/127.0.0.1/tcp/31000");
        assert_eq!(plan[4].dir, Path::new("/d/node5"));
    }

    #[test]
    fn without_a_history_everybody_starts_at_genesis() {
        assert!(nodes(Path::new("/d"), 6, 4, 0, 31_000).iter().all(|node| !node.newcomer));
    }

    #[test]
    fn full_nodes_come_last_and_are_newcomers() {
        let plan = nodes(Path::new("/d"), 4, 1, 10, 31_000);
        assert_eq!(plan.iter().map(|node| node.newcomer).collect::<Vec<_>>(), [false, true, true, true]);
        assert_eq!(plan[1].authority, None);
    }

    #[test]
    fn a_taken_port_is_named_with_the_flag() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_ports(&nodes(Path::new("/d"), 1, 1, 0, port)).unwrap_err();
        assert_eq!(error.exit, Exit::PortInUse);
        assert!(error.message.contains(&port.to_string()) && error.message.contains("--port"), "{error}");
    }
}
