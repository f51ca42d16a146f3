//! One node as a User-Mode Linux process.
