//! RFC 2136 dynamic update with TSIG.
