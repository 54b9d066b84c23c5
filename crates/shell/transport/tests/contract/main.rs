//! What every transport promises, told as stories and run over all of them.

// The attributes tell clippy that all of this is test code.
#[cfg(test)]
mod chain;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod gossip;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod world;

/// Makes each story a test over real sockets and one in the simulation.
macro_rules! contract {
    ($($module:ident::$story:ident,)*) => {
        mod over_sockets {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$module::$story(super::world::World::sockets()).await;
            })*
        }
        mod simulated {
            $(#[tokio::test(start_paused = true)]
            async fn $story() {
                super::$module::$story(super::world::World::simulated()).await;
            })*
        }
    };
}

contract! {
    connections::two_nodes_meet_and_name_themselves,
    connections::whoever_leaves_knows_why,
    connections::a_dial_that_fails_says_why,
    connections::a_second_dial_to_a_connected_peer_is_not_needed,
    connections::a_node_of_another_network_is_refused_with_both_hashes,
    connections::a_ban_disconnects_and_keeps_out_until_it_is_lifted,
    connections::a_full_node_takes_explicit_peers_only,
    connections::a_stopped_node_is_gone_and_its_events_end,
    connections::peers_of_peers_are_discovered,
    gossip::an_accepted_message_travels_on,
    gossip::rejected_and_ignored_messages_go_no_further,
    gossip::the_greatest_message_arrives_and_a_greater_one_does_not,
    requests::a_peer_serves_its_chain,
    requests::requests_are_answered_in_order_without_waiting_for_each_other,
    requests::a_slow_reader_stops_the_server,
    requests::a_cancelled_request_ends_and_the_next_one_is_served,
    requests::an_abandoned_answer_does_not_block_the_next_one,
    requests::a_lost_connection_ends_requests_at_once,
    requests::nobody_to_ask_ends_at_once,
    requests::too_many_requests_are_refused_with_a_time_to_retry,
    requests::a_store_that_cannot_be_read_blames_nobody,
    requests::more_unanswered_requests_than_allowed_are_not_sent,
    requests::an_explicit_peer_is_not_throttled,
}
