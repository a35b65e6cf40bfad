//! What the administrator has installed already: acme.sh's dnsapi scripts, dns-lexicon, programs and services made for
//! lego's `exec` and `httpreq`. None of their code comes with danesmith, and their limits are ours: see each one.

pub mod acme_sh;
pub mod httpreq;
pub mod lego_exec;
pub mod lexicon;
mod program;
pub mod txt_only;
