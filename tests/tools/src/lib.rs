//! Shared by the test tools.
