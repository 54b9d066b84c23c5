//! The faults of the simulated network, and that a seed says everything.

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;

    use alys_chain::{BlockId, CertifiedHeader, Height};
    use alys_transport::simulated::{Link, Network, SimulatedTransport};
    use alys_transport::{
        Answer, Answers, BlockSource, Command, Config, DialError, DisconnectReason, Event, Events, Outcome,
        Transport, Unavailable, Verdict, Violation, answers,
    };
    use alys_wire::limits::NONCE_BYTES;
    use alys_wire::{Address, PeerId, Request, Status, Topic};
    use bytes::Bytes;
    use tokio::time::Instant;

    /// Serves bodies of 100 KB for every id, and headers of nobody.
    struct Source;

    impl BlockSource for Source {
        fn status(&self) -> Result<Status, Unavailable> {
            Err(Unavailable)
        }

        fn headers(&self, _: Height, _: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
            Ok(Vec::new())
        }

        fn bodies(&self, ids: &[BlockId], budget: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
            let body = Bytes::from(vec![1; 100_000]);
            Ok(vec![Some(body); ids.len().min(budget / 100_000).max(1)])
        }

        fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
            Ok(None)
        }
    }

    fn config() -> Config {
        let mut config = Config::new(BlockId([1; 32]));
        config.discovery = None;
        config
    }

    struct Node {
        transport: SimulatedTransport,
        events: Events,
        peer: PeerId,
    }

    fn join(network: &Network) -> Node {
        let (transport, events) = network.join(&config(), Arc::new(Source));
        let peer = transport.local_peer();
        Node { transport, events, peer }
    }

    impl Node {
        fn dial(&self, network: &Network, other: PeerId) {
            let addresses = vec![network.address(other).unwrap()];
            self.transport.send(Command::Dial { peer: Some(other), addresses }).unwrap();
        }

        async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
            loop {
                if let Some(found) = wanted(self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        }

        async fn meet(&mut self, network: &Network, other: &mut Self) {
            self.dial(network, other.peer);
            for node in [self, other] {
                node.until(|event| matches!(event, Event::Identified { .. }).then_some(())).await;
            }
        }

        async fn gone(&mut self) -> DisconnectReason {
            self.until(|event| match event {
                Event::Disconnected { reason, .. } => Some(reason),
                _ => None,
            })
            .await
        }

        fn ask(&self, peer: PeerId, bodies: usize, window: usize) -> Answers {
            let (sink, reader) = answers(window);
            let request = Request::Bodies { ids: vec![BlockId([2; 32]); bodies] };
            self.transport.send(Command::Request { id: 1, peer, request, answers: sink }).unwrap();
            reader
        }
    }

    async fn outcome(mut reader: Answers) -> Outcome {
        loop {
            if let Answer::End(outcome) = reader.recv().await.unwrap() {
                return outcome;
            }
        }
    }

    fn link(latency_ms: u64) -> Link {
        Link { latency: Duration::from_millis(latency_ms), jitter: Duration::ZERO, ..Link::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_takes_a_round_trip_and_the_time_of_its_bytes() {
        let network = Network::new(1);
        network.set_links(Link { bandwidth: Some(10_000_000), ..link(50) });
        let (mut a, mut b) = (join(&network), join(&network));
        a.meet(&network, &mut b).await;
        let begin = Instant::now();
        assert_eq!(outcome(a.ask(b.peer, 100, 64 << 20)).await, Outcome::Done);
        let took = begin.elapsed();
        // 10 MB at 10 MB/s, and 100 ms.
        assert!((1090..1130).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_link_is_noticed_late_and_at_both_ends() {
        let network = Network::new(2);
        let (mut a, mut b) = (join(&network), join(&network));
        a.meet(&network, &mut b).await;
        let begin = Instant::now();
        network.partition(&[vec![a.peer]]);
        assert_eq!(a.gone().await, DisconnectReason::Unresponsive);
        assert_eq!(b.gone().await, DisconnectReason::Unresponsive);
        assert!(begin.elapsed() > Duration::from_secs(20));

        a.dial(&network, b.peer);
        let error = a
            .until(|event| match event {
                Event::DialFailed { error, .. } => Some(error),
                _ => None,
            })
            .await;
        assert!(matches!(error, DialError::Unreachable(_)), "{error:?}");
        network.heal();
        a.meet(&network, &mut b).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_silence_delays_an_answer_and_breaks_nothing() {
        let network = Network::new(3);
        network.set_links(Link { bandwidth: Some(1_000_000), ..link(10) });
        let (mut a, mut b) = (join(&network), join(&network));
        a.meet(&network, &mut b).await;
        let mut answer = a.ask(b.peer, 20, 64 << 20);
        answer.recv().await.unwrap();
        network.set_up(a.peer, b.peer, false);
        let begin = Instant::now();
        tokio::time::timeout(Duration::from_secs(10), async { while answer.recv().await.is_some() {} })
            .await
            .unwrap_err();
        network.set_up(a.peer, b.peer, true);
        assert_eq!(outcome(answer).await, Outcome::Done);
        assert!(begin.elapsed() > Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crashed_node_comes_back_as_itself() {
        let network = Network::new(4);
        let (mut a, mut b) = (join(&network), join(&network));
        a.meet(&network, &mut b).await;
        let answer = a.ask(b.peer, 100, 1 << 20);
        let address = network.address(b.peer);
        network.crash(b.peer);
        assert!(matches!(a.gone().await, DisconnectReason::Broken(_)));
        assert_eq!(outcome(answer).await, Outcome::Lost);
        assert!(b.transport.send(Command::Stop).is_err(), "the old handle is dead");
        a.dial(&network, a.peer);

        let (transport, events) = network.rejoin(b.peer, &config(), Arc::new(Source));
        let mut again = Node { peer: transport.local_peer(), transport, events };
        assert_eq!((again.peer, network.address(again.peer)), (b.peer, address));
        drop(b);
        a.meet(&network, &mut again).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_to_a_place_where_nobody_is_fails() {
        let network = Network::new(5);
        let (mut a, b) = (join(&network), join(&network));
        let addresses = vec![network.address(b.peer).unwrap()];
        network.crash(b.peer);
        a.transport.send(Command::Dial { peer: Some(b.peer), addresses }).unwrap();
        let failed = |event| match event {
            Event::DialFailed { error, .. } => Some(error),
            _ => None,
        };
        assert!(matches!(a.until(failed).await, DialError::Unreachable(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn connections_break_by_themselves_and_by_hand() {
        let network = Network::new(6);
        let (mut a, mut b) = (join(&network), join(&network));
        let lifetime = Some(Duration::from_secs(60));
        network.set_link(a.peer, b.peer, Link { lifetime, ..Link::default() });
        a.meet(&network, &mut b).await;
        assert!(matches!(a.gone().await, DisconnectReason::Broken(_)));
        assert!(matches!(b.gone().await, DisconnectReason::Broken(_)));
        network.set_link(a.peer, b.peer, Link::default());
        a.meet(&network, &mut b).await;
        network.break_connection(a.peer, b.peer);
        assert!(matches!(a.gone().await, DisconnectReason::Broken(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn lost_gossip_is_lost_and_a_node_may_choose_its_place() {
        let network = Network::new(7);
        let place = Address("/ip4/192.0.2.7/tcp/9000".to_owned());
        let mut settings = config();
        settings.listen = vec![place.clone()];
        let (transport, events) = network.join(&settings, Arc::new(Source));
        let mut a = Node { peer: transport.local_peer(), transport, events };
        assert_eq!(network.address(a.peer), Some(place));
        let mut b = join(&network);
        network.set_links(Link { gossip_loss: 500, ..Link::default() });
        a.meet(&network, &mut b).await;
        for n in 0..100u8 {
            let data = Bytes::from(vec![n; 10]);
            a.transport.send(Command::Publish { topic: Topic::Approvals, data }).unwrap();
        }
        b.transport.send(Command::Disconnect { peer: a.peer }).unwrap();
        let mut heard = 0;
        tokio::time::sleep(Duration::from_secs(1)).await;
        while let Some(event) = b.events.try_recv() {
            heard += u32::from(matches!(event, Event::Gossip { .. }));
        }
        assert_eq!(heard, 0, "what arrives after we have left is not heard");
        b.meet(&network, &mut a).await;
        for n in 100..200u8 {
            let data = Bytes::from(vec![n; 10]);
            a.transport.send(Command::Publish { topic: Topic::Approvals, data }).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        while let Some(event) = b.events.try_recv() {
            heard += u32::from(matches!(event, Event::Gossip { .. }));
        }
        assert!((25..75).contains(&heard), "{heard} of 100");
    }

    /// Answers a request for headers with ones that were not asked for.
    struct Liar;

    impl BlockSource for Liar {
        fn status(&self) -> Result<Status, Unavailable> {
            Err(Unavailable)
        }

        fn headers(&self, from: Height, count: u32) -> Result<Vec<CertifiedHeader>, Unavailable> {
            let header = alys_chain::Header {
                height: from.saturating_add(7),
                slot: alys_chain::Slot(9),
                parent: BlockId::default(),
                body_root: alys_chain::Hash::default(),
                state_root: alys_chain::Hash::default(),
                proposer: alys_chain::AuthorityIndex(0),
            };
            let quorum = alys_chain::SetQuorum { set: alys_chain::SetId(0), signers: 1, signature: [0; 48] };
            let certificate = alys_chain::Certificate {
                slot: header.slot,
                height: header.height,
                block: header.id(),
                quorum,
                joint: None,
            };
            Ok(vec![CertifiedHeader { header, certificate }; count as usize])
        }

        fn bodies(&self, _: &[BlockId], _: usize) -> Result<Vec<Option<Bytes>>, Unavailable> {
            Err(Unavailable)
        }

        fn claim(&self, _: PeerId, _: [u8; NONCE_BYTES]) -> Result<Option<Bytes>, Unavailable> {
            Ok(None)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lying_server_is_blamed_and_can_be_asked_again() {
        let network = Network::new(8);
        let mut a = join(&network);
        let (transport, events) = network.join(&config(), Arc::new(Liar));
        let mut liar = Node { peer: transport.local_peer(), transport, events };
        a.meet(&network, &mut liar).await;
        for _ in 0..2 {
            let (sink, reader) = answers(1 << 20);
            let request = Request::Headers { from: Height(1), count: 3 };
            a.transport.send(Command::Request { id: 9, peer: liar.peer, request, answers: sink }).unwrap();
            assert_eq!(outcome(reader).await, Outcome::Violated(Violation::OutOfOrder));
        }
    }

    /// Everything that a small network tells in a while, under faults, as text.
    async fn history(seed: u64) -> String {
        let network = Network::new(seed);
        network.set_links(Link {
            bandwidth: Some(1_000_000),
            gossip_loss: 100,
            lifetime: Some(Duration::from_secs(40)),
            ..Link::default()
        });
        let mut nodes: Vec<_> = (0..6).map(|_| join(&network)).collect();
        let mut told = String::new();
        for round in 0..60u8 {
            for i in 0..nodes.len() {
                let other = nodes[(i + 1 + usize::from(round) % 5) % nodes.len()].peer;
                nodes[i].dial(&network, other);
                let data = Bytes::from(vec![round, u8::try_from(i).unwrap()]);
                nodes[i].transport.send(Command::Publish { topic: Topic::Blocks, data }).unwrap();
            }
            if round == 20 {
                network.partition(&[vec![nodes[0].peer, nodes[1].peer]]);
            }
            if round == 40 {
                network.heal();
            }
            let _reading = nodes[0].ask(nodes[1].peer, 5, 1 << 20);
            tokio::time::sleep(Duration::from_secs(1)).await;
            for node in &mut nodes {
                while let Some(event) = node.events.try_recv() {
                    told.push_str(&format!("{:?} {event:?}\n", node.peer));
                    if let Event::Gossip { id, source, .. } = event {
                        let verdict = Verdict::Accept;
                        node.transport.send(Command::Validated { id, source, verdict }).unwrap();
                    }
                }
            }
        }
        told
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let run = |seed| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(history(seed))
        };
        let first = run(11);
        assert!(first.lines().count() > 500, "much has happened: {}", first.lines().count());
        assert!(first == run(11), "the same seed");
        assert!(first != run(12), "another seed");
    }
}
