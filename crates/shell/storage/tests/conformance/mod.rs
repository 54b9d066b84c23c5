//! What every backend must do, as stories over a way to open a store at a path. Opening the same path again is a restart.

pub mod durability;
pub mod fixture;
pub mod model;
pub mod reads;
pub mod staged;
pub mod writes;

use std::path::Path;

use alys_chain::BlockId;
use alys_storage::{Store, StoreError};

/// Opens the store of a network at a path; creates it if there is none.
pub type Open<'a> = &'a dyn Fn(&Path, BlockId) -> Result<Box<dyn Store>, StoreError>;

/// One story: gets a way to open, and an empty directory.
type Story = fn(Open<'_>, &Path);

/// All stories.
const STORIES: &[(&str, Story)] = &[
    ("a fresh store stands on genesis", reads::a_fresh_store_stands_on_genesis),
    ("a block comes back as it was stored", reads::a_block_comes_back_as_it_was_stored),
    ("ranges are ascending, contiguous and certified", reads::ranges_are_ascending_contiguous_and_certified),
    ("ranges keep to their limits", reads::ranges_keep_to_their_limits),
    ("bodies come in the order asked", reads::bodies_come_in_the_order_asked),
    ("a bucket is read in pages", reads::a_bucket_is_read_in_pages),
    ("the tree of blocks is rebuilt above finality", reads::the_tree_of_blocks_is_rebuilt_above_finality),
    ("import is idempotent", writes::import_is_idempotent),
    ("a certificate that came later stays", writes::a_certificate_that_came_later_stays),
    ("a reorganisation is one commit", writes::a_reorganisation_is_one_commit),
    ("a removed block leaves nothing", writes::a_removed_block_leaves_nothing),
    (
        "transactions are found until they are unindexed",
        writes::transactions_are_found_until_they_are_unindexed,
    ),
    ("the last verb wins", writes::the_last_verb_wins),
    (
        "bodies written ahead are there when they are committed",
        writes::bodies_written_ahead_are_there_when_they_are_committed,
    ),
    ("readers never see half a commit", writes::readers_never_see_half_a_commit),
    ("a restart finds everything", durability::a_restart_finds_everything),
    (
        "the signing record is durable whatever was asked",
        durability::the_signing_record_is_durable_whatever_was_asked,
    ),
    (
        "another network is refused and nothing is lost",
        durability::another_network_is_refused_and_nothing_is_lost,
    ),
    ("commits are counted over restarts", durability::commits_are_counted_over_restarts),
    ("a staged state replaces the live one at once", staged::a_staged_state_replaces_the_live_one_at_once),
    ("a staged state is given up without a trace", staged::a_staged_state_is_given_up_without_a_trace),
    ("a pinned state stands still", staged::a_pinned_state_stands_still),
    ("a body that never came is not an empty one", staged::a_body_that_never_came_is_not_an_empty_one),
    ("any history equals its model", model::any_history_equals_its_model),
];

/// Tells every story to the backend, each in its own directory.
pub fn all(open: Open<'_>) {
    for (name, story) in STORIES {
        eprintln!("story: {name}");
        let directory = fixture::scratch();
        story(open, directory.path());
    }
}
