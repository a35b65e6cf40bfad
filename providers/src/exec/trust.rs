//! Whose this program is. One that somebody else may change or replace would run with our credentials.

use crate::{Class, Error, owner};
use std::path::Path;

/// Names without a slash are found in PATH, which is the administrator's.
///
/// Errors: [`Class::Rejected`] when the file, or a folder or link on the way to it, belongs to or may be changed by somebody
/// who is neither root nor us; when it does not exist; for a relative path.
pub(crate) fn check_owner(program: &Path, label: &str) -> Result<(), Error> {
    if program.components().count() < 2 {
        return Ok(());
    }
    let refuse = |why: String| Error::new(Class::Rejected, format!("{label}: `{}` {why}", program.display()));
    if !program.is_absolute() {
        return Err(refuse("is no absolute path".to_owned()));
    }
    program.metadata().map_err(|error| refuse(format!("cannot be run: {error}")))?;
    owner::check(program).map_err(|foreign| {
        let place = foreign.path.display();
        let why = if foreign.path == program {
            foreign.why
        } else {
            format!("lies behind {place}, which {}", foreign.why)
        };
        refuse(why).hint(format!("chown -h root {place} && chmod go-w {place}"))
    })
}
