//! What is asked of recipes without computing them: `list`, `update` and `lock --audit` look at names only.

use std::collections::BTreeSet;

use super::Checkout;
use crate::lock::{BaseOrigin, Lock, Reason, Want};
use crate::oci::Platform;
use crate::recipe::{Base, Evaluated, Input, InputSource, SourcePath, suggest};
use crate::tree::SourceKey;
use crate::work::Error;
use crate::workspace::{Target, in_catalogue};

/// A base as a lock names it.
pub(crate) fn origin(base: &Base) -> Result<Option<BaseOrigin>, Error> {
    match base {
        Base::Image(text) => image_origin(text).map(Some).map_err(|error| error.at(&text.at)),
        // In the workspace of the recipe that says it.
        Base::Layout(text) => {
            let home = in_catalogue(&text.at.file).0.map(|catalogue| format!("{catalogue}:"));
            Ok(Some(BaseOrigin::Layout(home.unwrap_or_default() + text)))
        }
        Base::Recipe(_) | Base::Scratch(_) | Base::Extends(_) => Ok(None),
    }
}

/// The image that a recipe names.
pub(crate) fn image_origin(text: &str) -> Result<BaseOrigin, Error> {
    text.parse().map(BaseOrigin::Image).map_err(Error::usage)
}

/// What a variant stands on, names filled in.
pub(crate) fn base(checkout: &Checkout<'_>, target: &Target, recipe: &Evaluated) -> Result<Base, Error> {
    recipe.base_reference(&checkout.scope(target)).map_err(Error::Recipes)
}

/// What a variant stands on, as the recipe says it.
pub(crate) fn base_text(
    checkout: &Checkout<'_>,
    target: &Target,
    recipe: &Evaluated,
) -> Result<String, Error> {
    Ok(match base(checkout, target, recipe)? {
        Base::Image(text) | Base::Layout(text) | Base::Recipe(text) | Base::Extends(text) => text.value,
        Base::Scratch(_) => "scratch".to_owned(),
    })
}

/// What a recipe needs of external bases, by variant.
pub(crate) fn bases(checkout: &Checkout<'_>, target: &Target) -> Result<Vec<Want>, Error> {
    let mut wants = Vec::new();
    for variant in &checkout.file.variants {
        let evaluated = checkout.variant(target, variant)?;
        let Some(origin) = origin(&base(checkout, target, &evaluated)?)? else { continue };
        let platforms = checkout.platforms(&evaluated)?;
        let mut removes = Vec::new();
        for platform in &platforms {
            removes.extend(checkout.patterns(target, &evaluated, platform)?);
        }
        removes.sort();
        removes.dedup();
        // A bare recipe takes the platforms that there are.
        let bare = evaluated.is_bare() && evaluated.image.platforms.is_none();
        let platforms = if bare { Vec::new() } else { platforms.iter().map(Platform::short).collect() };
        wants.push(Want { variant: variant.clone(), origin, platforms, removes });
    }
    Ok(wants)
}

/// What a lock lacks, its own or that of a recipe below, so that a registry would have to be asked.
pub(crate) fn unknown(checkout: &Checkout<'_>, target: &Target) -> Result<Vec<Reason>, Error> {
    let mut reasons = Vec::new();
    let (mut todo, mut seen) = (vec![target.clone()], BTreeSet::new());
    while let Some(target) = todo.pop() {
        // Once each, however many variants stand on it. Circles are reported by whoever computes.
        if !seen.insert(target.clone()) {
            continue;
        }
        let old = checkout.lock(&target)?;
        let mut wanted = bases(checkout, &target)?;
        wanted.retain(|want| matches!(want.origin, BaseOrigin::Image(_)));
        let lacks = |lock: &Lock| lock.unpinned(&wanted);
        reasons.extend(old.lock.as_ref().map_or_else(|| lacks(&Lock::default()), lacks));
        reasons
            .extend(old.reason.clone().filter(|reason| *reason == Reason::Conflicted || !wanted.is_empty()));
        for variant in &checkout.file.variants {
            todo.extend(parent(checkout, &target, variant)?);
        }
    }
    Ok(reasons)
}

/// Whether something holds of one of these recipes, of what they stand on or of what they take from.
pub(crate) fn any_below(
    checkout: &Checkout<'_>,
    mut todo: Vec<Target>,
    mut holds: impl FnMut(&Target) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let mut seen = BTreeSet::new();
    while let Some(next) = todo.pop() {
        if !seen.insert(next.clone()) {
            continue;
        }
        if holds(&next)? {
            return Ok(true);
        }
        for variant in &checkout.file.variants {
            todo.extend(parent(checkout, &next, variant)?);
            todo.extend(copied(checkout, &next, variant)?);
        }
    }
    Ok(false)
}

/// Whether what comes of a recipe depends on an open input, its own or of one below it.
pub(crate) fn is_open(checkout: &Checkout<'_>, target: &Target) -> Result<bool, Error> {
    any_below(checkout, vec![target.clone()], |target| {
        for variant in &checkout.file.variants {
            if checkout.variant(target, variant)?.open_inputs().next().is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// The recipe that a variant stands on, if it does.
pub(crate) fn parent(
    checkout: &Checkout<'_>,
    target: &Target,
    variant: &str,
) -> Result<Option<Target>, Error> {
    let evaluated = checkout.variant(target, variant)?;
    match base(checkout, target, &evaluated)? {
        Base::Recipe(name) => checkout.parent(target, &name).map(Some),
        _ => Ok(None),
    }
}

/// The recipes from whose images a variant takes files.
pub(crate) fn copied(
    checkout: &Checkout<'_>,
    target: &Target,
    variant: &str,
) -> Result<BTreeSet<Target>, Error> {
    let known = checkout.workspace.recipes()?;
    let keys = keys(checkout, target, variant)?.into_iter();
    let targets = keys.filter_map(|key| match key {
        SourceKey::Recipe { recipe, .. } => recipe.parse().ok(),
        SourceKey::Files(_)
        | SourceKey::Fetch { .. }
        | SourceKey::Input { .. }
        | SourceKey::Image { .. }
        | SourceKey::Base { .. } => None,
    });
    // What isn't there is reported by whoever builds.
    Ok(targets.filter(|target| known.contains(target)).collect())
}

/// Every source that a recipe takes, over all variants and platforms.
pub(crate) fn all_keys(checkout: &Checkout<'_>, target: &Target) -> Result<BTreeSet<SourceKey>, Error> {
    let mut found = BTreeSet::new();
    for variant in &checkout.file.variants {
        found.extend(keys(checkout, target, variant)?);
    }
    Ok(found)
}

/// The same of one variant.
pub(crate) fn keys(
    checkout: &Checkout<'_>,
    target: &Target,
    variant: &str,
) -> Result<BTreeSet<SourceKey>, Error> {
    Ok(paths(checkout, target, variant)?.into_iter().map(|path| path.key).collect())
}

/// The same as the recipe names them, on each platform.
pub(crate) fn paths(
    checkout: &Checkout<'_>,
    target: &Target,
    variant: &str,
) -> Result<Vec<SourcePath>, Error> {
    let evaluated = checkout.variant(target, variant)?;
    let base = base(checkout, target, &evaluated)?;
    let base = match (&base, origin(&base)?) {
        (Base::Recipe(name), _) => format!("{}#{variant}", checkout.parent(target, name)?),
        (_, Some(origin)) => origin.to_string(),
        _ => "scratch".to_owned(),
    };
    let mut found = Vec::new();
    for platform in checkout.platforms(&evaluated)? {
        let scope = checkout.scope_on(target, &platform);
        for mut path in evaluated.source_paths(&scope).map_err(Error::Recipes)? {
            path.key.stand_on(&base);
            found.push(path);
        }
    }
    Ok(found)
}

/// Refuses inputs that are given and that nothing which is built has: a name that is mistyped would be built without.
pub(crate) fn inputs<'t>(
    checkout: &Checkout<'_>,
    targets: impl Iterator<Item = &'t Target>,
) -> Result<(), Error> {
    let given = &checkout.asks.inputs;
    if given.is_empty() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    any_below(checkout, targets.cloned().collect(), |target| {
        for variant in &checkout.file.variants {
            let recipe = checkout.variant(target, variant)?;
            // An image is taken by its pin.
            let by_path = |input: &Input| !matches!(input.from, InputSource::Image { .. });
            let own = recipe.inputs.into_iter().filter(|(_, input)| by_path(&input.value));
            known.extend(own.map(|(name, _)| name));
        }
        Ok(false)
    })?;
    let Some(name) = given.keys().find(|name| !known.contains(*name)) else { return Ok(()) };
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let meant = suggest(name, names.iter().copied()).map(|name| format!("; did you mean {name}?"));
    let have =
        if names.is_empty() { "none is".to_owned() } else { format!("there are {}", names.join(", ")) };
    let why = "nothing that is built takes it by path";
    Err(Error::usage(format!("--input {name}: {why}; {have}{}", meant.unwrap_or_default())))
}
