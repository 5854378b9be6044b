//! Following symbolic links inside a root, over whatever knows the links.
//!
//! Owns the walk: `..` stops at the root, absolute targets start there, forty links are the end. It must not care
//! whether anything exists: what isn't a link is walked through.

use std::collections::VecDeque;

use crate::tree::TreePath;

/// As many as Linux follows.
const MOST: usize = 40;
/// Components on the way, those of links included: more names than a path can have.
const MOST_STEPS: usize = 4096;

/// A loop, or a chain that no kernel follows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} leads through more than 40 symbolic links, or too far")]
pub struct TooManyLinks {
    /// Where the walk began.
    pub path: TreePath,
}

/// Where `path` really lies, its last component followed too. `link` gives the target of a symbolic link.
///
/// # Errors
/// More than forty links.
pub fn resolve<'a>(
    path: &TreePath,
    link: impl Fn(&TreePath) -> Option<&'a [u8]>,
) -> Result<TreePath, TooManyLinks> {
    let mut left: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
    let mut at = TreePath::root();
    let (mut followed, mut steps) = (0, 0);
    while let Some(name) = left.pop_front() {
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                at = at.parent().unwrap_or_default();
                continue;
            }
            _ => {}
        }
        steps += 1;
        if steps > MOST_STEPS {
            return Err(TooManyLinks { path: path.clone() });
        }
        let next = at.join(&name);
        let Some(target) = link(&next) else {
            at = next;
            continue;
        };
        followed += 1;
        if followed > MOST {
            return Err(TooManyLinks { path: path.clone() });
        }
        if target.starts_with(b"/") {
            at = TreePath::root();
        }
        for component in target.split(|&byte| byte == b'/').rev() {
            left.push_front(component.to_vec());
        }
    }
    Ok(at)
}

/// Where `path` lies when its last component is taken as it is.
///
/// # Errors
/// More than forty links.
pub fn resolve_parent<'a>(
    path: &TreePath,
    link: impl Fn(&TreePath) -> Option<&'a [u8]>,
) -> Result<TreePath, TooManyLinks> {
    match path.parent() {
        Some(parent) => Ok(resolve(&parent, link)?.join(path.name())),
        None => Ok(TreePath::root()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn walks() {
        let path = |text: &str| TreePath::parse(text.as_bytes()).unwrap();
        let links = BTreeMap::from([
            (path("/lib"), &b"usr/lib"[..]),
            (path("/var/run"), b"/run"),
            (path("/usr/lib/up"), b"../../../../etc"),
            (path("/loop"), b"loop"),
            (path("/a"), b"lib/./up//"),
        ]);
        let link = |path: &TreePath| links.get(path).copied();
        for (from, whole, parent) in [
            ("/lib", "/usr/lib", "/lib"),
            ("/lib/x", "/usr/lib/x", "/usr/lib/x"),
            ("/lib/up", "/etc", "/usr/lib/up"),
            ("/lib/up/passwd", "/etc/passwd", "/etc/passwd"),
            ("/var/run/x", "/run/x", "/run/x"),
            ("/a/b", "/etc/b", "/etc/b"),
            ("/", "/", "/"),
        ] {
            assert_eq!(resolve(&path(from), link), Ok(path(whole)), "{from}");
            assert_eq!(resolve_parent(&path(from), link), Ok(path(parent)), "{from}");
        }
        assert_eq!(resolve(&path("/loop/x"), link), Err(TooManyLinks { path: path("/loop/x") }));
        assert_eq!(resolve_parent(&path("/loop"), link), Ok(path("/loop")));
    }

    #[test]
    fn the_way_is_not_endless() {
        let long = "x/".repeat(2000).into_bytes();
        let link = |path: &TreePath| (path.name() == b"l").then_some(&long[..]);
        let path = |count: usize| TreePath::parse("l/".repeat(count).as_bytes()).unwrap();
        assert!(resolve(&path(2), link).is_ok());
        assert_eq!(resolve(&path(3), link), Err(TooManyLinks { path: path(3) }));
    }

    #[test]
    fn forty_links_pass() {
        for (count, passes) in [(40, true), (41, false)] {
            let target = |path: &TreePath| -> Option<&'static [u8]> {
                let number: usize = str::from_utf8(path.as_bytes()).unwrap().parse().unwrap();
                (number > 0).then(|| &*(number - 1).to_string().into_bytes().leak())
            };
            let start = TreePath::parse(count.to_string().as_bytes()).unwrap();
            assert_eq!(resolve(&start, target).is_ok(), passes);
        }
    }
}
