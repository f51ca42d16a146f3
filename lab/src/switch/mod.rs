//! The network between the nodes: every frame goes through here, so links can be cut, delayed and made lossy.
