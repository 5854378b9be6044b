//! Places that images are read from, opened by what they are called.

use std::sync::Arc;

use crate::lock::BaseOrigin;
use crate::oci::{Place, Reference};
use crate::substitute::{self, Substituter};
use crate::work::checkout::{Checkout, readable_layout};
use crate::work::{Env, Error};

/// Where a base's bytes come from; none where a layout isn't there, or no connection may be opened.
pub(super) fn open_origin(
    checkout: &Checkout<'_>,
    origin: &BaseOrigin,
) -> Result<Option<Arc<dyn Substituter>>, Error> {
    let env = checkout.env;
    let opened = match origin {
        BaseOrigin::Image(_) if env.offline => return Ok(None),
        BaseOrigin::Image(reference) => return Ok(Some(open_reference(env, reference)?)),
        BaseOrigin::Layout(text) => substitute::open_later(
            &readable_layout((checkout.env, &checkout.workspace, &checkout.file), text)?.0,
        ),
    };
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a reference names, in its registry or a mirror of it. Nothing is asked yet.
pub(crate) fn open_reference(env: &Env<'_>, reference: &Reference) -> Result<Arc<dyn Substituter>, Error> {
    if env.offline {
        return Err(Error::Offline { reference: reference.to_string() });
    }
    let client = env.registries.client().map_err(substitute::Error::from)?;
    Ok(Arc::new(substitute::Registry::new(reference.clone(), client.places(reference))))
}

/// Opens a place to read from, and says what is meant in it.
pub(crate) fn open_place(
    env: &Env<'_>,
    place: &Place,
) -> Result<(Arc<dyn Substituter>, Option<String>), Error> {
    Ok(match place {
        Place::Layout { dir, name } => (substitute::open(&env.dir.join(dir))?, name.clone()),
        Place::OciArchive { file, name } => (substitute::open(&env.dir.join(file))?, name.clone()),
        Place::DockerArchive { file, name } => {
            (substitute::open(&env.dir.join(file))?, name.as_ref().map(ToString::to_string))
        }
        Place::Registry(reference) => (open_reference(env, reference)?, None),
        Place::Daemon(_) => return Err(Error::usage("images can't be taken out of an engine yet")),
    })
}
