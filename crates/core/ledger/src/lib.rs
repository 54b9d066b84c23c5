//! What a block does to the accounts: transactions, execution, state root.
#![forbid(unsafe_code)]
