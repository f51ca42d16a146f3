//! Runs commands in a node and carries files, over the serial line.
