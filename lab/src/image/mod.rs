//! The root file system that all nodes share: built once, kept until something of it changes.
