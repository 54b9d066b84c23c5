//! The judge sees what is wrong, and nothing where nothing is.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "what the tests are made of may fail as tests do")]

use std::sync::Arc;
use std::time::Duration;

use alys_chain::{
    Approval, Body, Certificate, Hash, Header, Height, Lineage, Rules, Seat, SetId, SetQuorum, Signature,
    Slot,
};
use alys_sim::invariants::{Gate, Judge, Rule};
use alys_sim::plan::Plan;
use alys_sim::site::Site;
use alys_sim::trace::Place;
use alys_storage::{Batch, BlockKey, Durability, MemoryDisk, Store};
use alys_sync::{Condition, ConditionName, GateReport};

const NOW: Duration = Duration::from_secs(1);

struct Case {
    site: Site,
    rules: Arc<Rules>,
    judge: Judge,
}

fn case() -> Case {
    let site = Site::new(&Plan::calm("judge", 1, 4));
    let rules = site.network.rules.clone();
    Case { judge: Judge::new(rules.clone()), site, rules }
}

impl Case {
    /// A child of genesis in this slot; `mark` makes it differ from others.
    fn header(&self, slot: u64, mark: u8) -> Header {
        Header {
            height: Height(1),
            slot: Slot(slot),
            parent: self.rules.genesis_id(),
            body_root: Body::empty_root(),
            state_root: Hash([mark; 32]),
            proposer: self.rules.schedule().proposer(Slot(slot)),
        }
    }

    fn approval(&self, header: &Header, authority: u8) -> Approval {
        let seat = Seat { set: SetId(0), authority: alys_chain::AuthorityIndex(authority) };
        Approval::sign(self.rules.domain(), header, seat, &self.site.keys[usize::from(authority)])
    }

    /// What the first so many authorities say.
    fn certificate(&self, header: &Header, signers: u8) -> Certificate {
        let sign = |n| Signature::from_bytes(&self.approval(header, n).signature).unwrap();
        let signatures: Vec<Signature> = (0..signers).map(sign).collect();
        let signature = Signature::aggregate(&signatures).unwrap().to_bytes();
        let quorum = SetQuorum { set: SetId(0), signers: (1 << signers) - 1, signature };
        Certificate { slot: header.slot, height: header.height, block: header.id(), quorum, joint: None }
    }

    /// A store in which this block is final, by so many authorities.
    fn store(&self, header: &Header, signers: u8) -> impl Store + use<> {
        self.store_with(header, &self.certificate(header, signers))
    }

    fn store_with(&self, header: &Header, certificate: &Certificate) -> impl Store + use<> {
        let genesis = *self.rules.genesis();
        let store = MemoryDisk::new().open(genesis.id()).unwrap();
        let (first, block) =
            (BlockKey::new(Height::ZERO, genesis.id()), BlockKey::new(header.height, header.id()));
        let mut batch = Batch::new();
        batch.put_block(first, &genesis, Lineage::GENESIS, &Body::default()).make_canonical(first);
        batch.put_block(block, header, Lineage::GENESIS, &Body::default()).make_canonical(block);
        batch.certify(certificate).set_head(block).set_final(block);
        store.commit(batch, Durability::Durable).unwrap();
        store
    }

    fn rules_broken(&mut self) -> Vec<Rule> {
        self.judge.violations().iter().map(|violation| violation.rule).collect()
    }
}

#[test]
fn two_blocks_of_one_slot_by_one_key_are_seen_and_one_block_twice_is_not() {
    let mut case = case();
    let (a, b, later) = (case.header(5, 1), case.header(5, 2), case.header(6, 1));
    for (header, authority) in [(&a, 0), (&a, 0), (&a, 1), (&later, 0)] {
        case.judge.signed(NOW, 0, &case.approval(header, authority));
    }
    assert_eq!(case.rules_broken(), []);
    let key = case.site.keys[0].public_key();
    assert_eq!(case.judge.last_signed(key.as_bytes()), Some(Slot(6)));
    case.judge.signed(NOW, 3, &case.approval(&b, 0));
    assert_eq!(case.rules_broken(), [Rule::SignedOnce], "whoever sends it");
}

#[test]
fn two_final_blocks_of_one_height_are_seen() {
    let mut case = case();
    let (a, b) = (case.header(5, 1), case.header(6, 2));
    let (one, other) = (case.store(&a, 3), case.store(&b, 3));
    case.judge.inspect(NOW, 0, &one);
    case.judge.inspect(NOW, 1, &one);
    assert_eq!(case.rules_broken(), []);
    case.judge.inspect(NOW, 2, &other);
    assert_eq!(case.rules_broken(), [Rule::OneFinalChain]);
    assert!(case.judge.violations()[0].to_string().contains("node 2"));
}

#[test]
fn a_certificate_of_two_of_four_is_seen() {
    let mut case = case();
    let header = case.header(5, 1);
    let store = case.store(&header, 2);
    case.judge.inspect(NOW, 0, &store);
    assert_eq!(case.rules_broken(), [Rule::Quorum]);
}

#[test]
fn a_certificate_with_the_signatures_of_another_block_is_seen() {
    let mut case = case();
    let (good, header) = (case.header(4, 1), case.header(5, 1));
    let mut certificate = case.certificate(&header, 3);
    certificate.quorum.signature = case.certificate(&case.header(5, 2), 3).quorum.signature;
    case.judge.inspect(NOW, 0, &case.store(&good, 3));
    assert_eq!(case.rules_broken(), []);
    case.judge.inspect(2 * NOW, 1, &case.store_with(&header, &certificate));
    let broken = case.judge.violations().last().unwrap();
    assert_eq!((broken.rule, broken.at, broken.place), (Rule::Quorum, 2 * NOW, Place::Node(1)));
}

#[test]
fn finality_may_not_go_back_unless_the_node_begins_anew() {
    let mut case = case();
    let header = case.header(5, 1);
    let (ahead, empty) = (case.store(&header, 3), MemoryDisk::new().open(case.rules.genesis_id()).unwrap());
    case.judge.inspect(NOW, 0, &ahead);
    case.judge.restarted(0);
    case.judge.inspect(NOW, 0, &empty);
    assert_eq!(case.rules_broken(), []);
    case.judge.inspect(NOW, 0, &ahead);
    case.judge.inspect(NOW, 0, &empty);
    assert_eq!(case.rules_broken(), [Rule::HeadAboveFinal]);
}

fn report(open: bool, failing: Option<ConditionName>) -> GateReport {
    let condition = |name| Condition {
        name,
        holds: Some(name) != failing,
        value: String::new(),
        required: String::new(),
    };
    GateReport { open, conditions: ConditionName::ALL.map(condition).to_vec() }
}

#[test]
fn an_open_gate_needs_every_condition_a_seat_and_a_recent_head() {
    let well = Gate { member: true, head: Height(100), best: Height(101) };
    let judged = |report: &GateReport, facts| {
        let mut case = case();
        case.judge.gate(NOW, 0, report, facts);
        case.rules_broken()
    };
    assert_eq!(judged(&report(true, None), well), []);
    let far = Gate { best: Height(200), ..well };
    assert_eq!(judged(&report(false, Some(ConditionName::Target)), far), [], "a closed gate harms nobody");
    assert_eq!(judged(&report(true, Some(ConditionName::Import)), well), [Rule::Gate]);
    assert_eq!(judged(&report(true, None), Gate { member: false, ..well }), [Rule::Gate]);
    assert_eq!(judged(&report(true, None), far), [Rule::Gate]);
    let mut short = report(true, None);
    short.conditions.pop();
    assert_eq!(judged(&short, well), [Rule::Gate], "a condition that is not reported was not looked at");
}
