//! The nodes of one lab together: what they share, and what can be done to them.
