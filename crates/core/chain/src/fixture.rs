//! Federations, chains and certificates for the tests of this crate.

use std::collections::BTreeMap;

use crate::block::Body;
use crate::bls::{SecretKey, Signature};
use crate::certificate::{Certificate, CertifiedHeader, SetQuorum};
use crate::genesis::Genesis;
use crate::header::Header;
use crate::ids::{Hash, SetId, Slot};
use crate::lineage::Required;
use crate::rules::Rules;
use crate::schedule::{Authority, Period, Schedule};
use crate::time::UnixMillis;
use crate::verify::Parent;

pub(crate) const GENESIS_TIME: UnixMillis = UnixMillis(1_700_000_000_000);

/// The key of authority `n`, the same in every test.
pub(crate) fn key(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

/// A network and the keys of its sets, by set.
pub(crate) struct World {
    pub(crate) rules: Rules,
    keys: Vec<Vec<SecretKey>>,
}

/// One set from slot 0 on: authorities 1 to n, slots of two seconds.
pub(crate) fn world(n: u8) -> World {
    changing_world(&[(0, (1..=n).collect())])
}

/// A set from each slot on.
pub(crate) fn changing_world(sets: &[(u64, Vec<u8>)]) -> World {
    let period = |(from, members): &(u64, Vec<u8>)| Period {
        from_slot: Slot(*from),
        slot_ms: 2_000,
        authorities: members.iter().map(|n| Authority::of(&key(*n))).collect(),
    };
    let schedule = Schedule::new(sets.iter().map(period).collect()).unwrap();
    let genesis =
        Genesis { chain_id: 1, time: GENESIS_TIME, gas_limit: 1, schedule, allocations: BTreeMap::new() };
    let keys = sets.iter().map(|(_, members)| members.iter().map(|n| key(*n)).collect()).collect();
    World { rules: Rules::new(&genesis, Hash([9; 32])), keys }
}

impl World {
    pub(crate) fn keys(&self, set: SetId) -> &[SecretKey] {
        &self.keys[set.0 as usize]
    }

    /// A valid header in a slot.
    pub(crate) fn header(&self, parent: &Header, slot: u64) -> Header {
        Header {
            height: parent.height.next().unwrap(),
            slot: Slot(slot),
            parent: parent.id(),
            body_root: Body::empty_root(),
            state_root: Hash([3; 32]),
            proposer: self.rules.schedule().proposer(Slot(slot)),
        }
    }

    /// What these members of a set say of a block.
    pub(crate) fn quorum(&self, header: &Header, set: SetId, signers: u16) -> SetQuorum {
        let message = self.rules.domain().approval_message(set, header.slot, header.height, header.id());
        let members = self.keys(set).iter().enumerate().filter(|(i, _)| signers >> i & 1 == 1);
        let signatures: Vec<Signature> = members.map(|(_, key)| key.sign(&message)).collect();
        SetQuorum { set, signers, signature: Signature::aggregate(&signatures).unwrap().to_bytes() }
    }

    /// A valid certificate: the first members of the required sets, just as many as it takes.
    pub(crate) fn certify(&self, header: &Header, required: Required) -> Certificate {
        let quorum = |set: SetId| {
            let enough = self.rules.schedule().set(set).unwrap().quorum().get();
            self.quorum(header, set, (1 << enough) - 1)
        };
        Certificate {
            slot: header.slot,
            height: header.height,
            block: header.id(),
            quorum: quorum(required.own),
            joint: required.old.map(quorum),
        }
    }

    /// A valid chain on genesis with a block in each of these slots.
    pub(crate) fn chain(&self, slots: impl IntoIterator<Item = u64>) -> Vec<CertifiedHeader> {
        let mut parent = Parent::genesis(&self.rules);
        slots
            .into_iter()
            .map(|slot| {
                let header = self.header(&parent.header, slot);
                let certificate = self.certify(&header, parent.required(&self.rules, &header));
                parent = parent.child(header);
                CertifiedHeader { header, certificate }
            })
            .collect()
    }
}
