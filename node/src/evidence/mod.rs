//! Evidence: what this node did with envelopes, in a log that it cannot alter unseen; and what the logs of others say.

pub mod witness;
