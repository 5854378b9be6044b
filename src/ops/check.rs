//! `check`: everything that can be said of recipes without building them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Env, Error, ImageName, Inputs, Selection};
use crate::deploy::{Mount, Stack};
use crate::lock::State;
use crate::recipe::Service;
use crate::tree::SourceKey;
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
use crate::work::realise::{Session, Variant};
use crate::work::run::{bare_unit, files, mounted, service};
use crate::workspace::Target;

/// What `check` found of one variant of a recipe; what is wrong is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which.
    pub name: ImageName,
    /// The state of its lock.
    pub state: String,
    /// It was checked against what it stands on; where the lock doesn't know that, only the recipe itself was.
    pub whole: bool,
    /// Open inputs that nobody gave, without which it was checked.
    pub open: Vec<String>,
    /// `[service] check`: the software's own check of its configuration, to be run in the image.
    pub check: Option<Vec<String>>,
    /// `[service] env`
    pub env: BTreeMap<String, String>,
}

/// Checks the selected recipes, all of them without a selection: the recipes themselves, their sources, how the services of
/// their stacks fit together, and with all guards what they make of their bases, where the locks know these.
///
/// # Errors
/// Whatever is wrong.
pub fn check(env: &Env<'_>, select: &Selection, inputs: &Inputs) -> Result<Vec<Checked>, Error> {
    let session = Session::open(env, Asks::given(inputs))?;
    let checkout = session.checkout();
    let selected = checkout.select_or_all(select)?;
    wants::inputs(checkout, selected.keys())?;
    let stacks: BTreeSet<&String> = selected.keys().map(|target| &target.stack).collect();
    for variant in &checkout.file.variants {
        stacks.iter().try_for_each(|stack| fits(checkout, stack, variant))?;
    }
    let mut found = Vec::new();
    for (target, variants) in &selected {
        let mut reasons = wants::unknown(checkout, target)?;
        let mut whole = reasons.is_empty();
        let (mut open, mut lacks) = (false, Vec::new());
        if whole {
            let computed = session.compute(target)?;
            reasons = computed.reasons.clone();
            open = !computed.open.is_empty();
            lacks.extend(computed.lacks.iter().map(|lacking| lacking.name.clone()));
            whole = lacks.is_empty();
            for (variant, made) in &computed.variants {
                if let Some(service) = service(checkout, target, variant)? {
                    nothing_hidden(checkout, target, service, made)?;
                }
            }
        } else {
            for files in wants::all_keys(checkout, target)?.iter().filter_map(SourceKey::plain) {
                checkout.source(files)?;
            }
        }
        let state = State::of(&reasons, open);
        for variant in checkout.meant(variants) {
            let service = service(checkout, target, variant)?;
            let env = service.iter().flat_map(|service| &service.env);
            let env = env.map(|(name, value)| (name.clone(), value.value.clone())).collect();
            let check = service.and_then(|service| service.check);
            found.push(Checked {
                name: ImageName { recipe: target.to_string(), variant: variant.clone() },
                state: state.name().to_owned(),
                whole,
                open: lacks.clone(),
                check: check.map(|words| words.into_iter().map(|word| word.value).collect()),
                env,
            });
        }
    }
    Ok(found)
}

/// Whether a variant's mounts and volumes leave to be seen what it puts into the image.
fn nothing_hidden(
    checkout: &Checkout<'_>,
    target: &Target,
    service: Service,
    made: &Variant,
) -> Result<(), Error> {
    let (entries, files) = files(made);
    let mut unit = bare_unit(target.name.clone(), service);
    for file in entries {
        let mount = |target: String| Mount { source: String::new(), target, read_only: true };
        unit.mounts.extend(mounted(checkout, file)?.into_iter().map(|mounted| mount(mounted.target)));
    }
    unit.files = files;
    let errors = unit.hidden();
    if errors.is_empty() { Ok(()) } else { Err(Error::Deploy(errors)) }
}

/// Whether the services of a stack fit together.
fn fits(checkout: &Checkout<'_>, name: &str, variant: &str) -> Result<(), Error> {
    let mut units = BTreeMap::new();
    for target in checkout.workspace.recipes()?.into_iter().filter(|target| target.stack == name) {
        if let Some(service) = service(checkout, &target, variant)? {
            units.insert(target.name.clone(), bare_unit(target.name, service));
        }
    }
    let units = units.into_values().collect();
    let errors =
        Stack { name: name.to_owned(), variant: variant.to_owned(), units, ..Stack::default() }.errors();
    if errors.is_empty() { Ok(()) } else { Err(Error::Deploy(errors)) }
}
