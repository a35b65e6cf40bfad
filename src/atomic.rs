//! Durable file writes: fsync, rename, fsync the folder.
